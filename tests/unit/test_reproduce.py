"""The chain of stages: one command each, each from the model before, resumable."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sparrow import checkpoints
from sparrow.checkpoints.stages import STAGES, Stage
from sparrow.cli import main
from sparrow.cli import reproduce as module

TINY = {
    "base": Stage(
        (
            *("pretrain", "--steps", "2", "--warmup-steps", "1", "--decay-frac", "0"),
            *("--batch-size", "2", "--length", "32", "--corpus-mb", "0.2"),
        )
    ),
    "cold": Stage(
        (
            *("sft", "--steps", "2", "--warmup-steps", "1", "--decay-frac", "0"),
            *("--batch-size", "2", "--examples", "40"),
        ),
        {"--init": "base"},
    ),
}


def test_every_shipped_model_has_a_stage_and_names_its_command() -> None:
    assert set(checkpoints.names()) <= set(STAGES)
    for name in checkpoints.names():
        told = str(checkpoints.manifest(name)["command"])
        assert told.split()[0] == "sparrow"
        assert told.split()[1] == STAGES[name].command[0]


def test_a_stage_begins_with_the_one_before() -> None:
    order = list(STAGES)
    for name, stage in STAGES.items():
        for option, model in stage.models.items():
            assert order.index(model) < order.index(name)
            assert option in stage.words()
            assert f"/runs/{model}" in stage.words(lambda each: f"/runs/{each}")


def test_the_whole_path_runs_again_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAGES", TINY)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = ["reproduce", "--folder", str(tmp_path)]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert (tmp_path / "cold" / "model" / "model.safetensors").is_file()
    assert f"--init {tmp_path / 'base' / 'model'}" in first.output
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.output


def test_a_stage_that_fails_ends_the_path_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"base": Stage(("pretrain", "--steps", "0"))}
    monkeypatch.setattr(module, "STAGES", broken)
    result = CliRunner().invoke(main, ["reproduce", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "base is not finished; the same command goes on." in result.output
