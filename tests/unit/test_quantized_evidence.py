"""What lab 09 leaves can be measured again, and nothing strange is opened."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparrow import quant
from sparrow.errors import CheckpointError
from sparrow.evaluate import quantized_evidence as evidence
from sparrow.evaluate import quantized_layers, quantized_runs
from sparrow.quant import stored
from sparrow.train import handed_in

CLAIM = {"bits": 5.0}
CODES = "layers.0.self_attn.o_proj.codes"
SCALE = "layers.0.self_attn.o_proj.scale"


@pytest.fixture(scope="module")
def small() -> Any:
    return quant.quantize(evidence.original()[0], "int4")


def data_of(small: Any, change: Callable[[dict[str, Tensor]], object]) -> bytes:
    """A file of the model, with some tensors changed."""
    matrices, tensors = stored.packed(small)
    change(tensors)
    named = {f"model.{name}": each for name, each in tensors.items()}
    path = Path(evidence.FILE)
    handed_in.pack(path, named, {"matrices": matrices, "claim": CLAIM})
    return path.read_bytes()


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_left_is_the_model_that_was_made(small: Any, tmp_path: Path) -> None:
    path = evidence.leave(tmp_path / "file", model=small, claim=CLAIM)
    found = evidence.read(path.read_bytes())
    assert found.claim == CLAIM
    ids = torch.arange(1, 9)[None]
    assert torch.equal(found.model(ids), small(ids))


def test_a_file_is_measured_beside_the_original(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "QUESTIONS", 3)
    for each in (evidence.before, evidence._text, evidence.measured):
        each.cache_clear()
    found = evidence.measured(data_of(small, lambda tensors: None))
    assert found["bytes"] < 0.2 * 4 * found["weights"]
    for when in ("before", "after"):
        assert len(found[when]["losses"]) == len(found[when]["right"]) == 3
    assert found["before"]["losses"] != found["after"]["losses"]
    for each in (evidence.before, evidence._text, evidence.measured):
        each.cache_clear()


CHANGES: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "a tensor is missing": lambda tensors: tensors.pop(SCALE),
    "not finite": lambda tensors: tensors[SCALE].view(-1)[0].fill_(torch.inf),
    "float codes": lambda tensors: tensors.update({CODES: tensors[CODES].float()}),
    "a scale for one row": lambda tensors: tensors.update(
        {SCALE: tensors[SCALE][:1].clone()}
    ),
    "fewer rows": lambda tensors: tensors.update({CODES: tensors[CODES][1:].clone()}),
    "a tensor too many": lambda tensors: tensors.update(more=torch.ones(1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_strange_file_is_refused_in_one_sentence(small: Any, name: str) -> None:
    data = data_of(small, CHANGES[name])
    with pytest.raises(CheckpointError, match="is damaged"):
        evidence.read(data)


def test_a_model_that_is_not_quantized_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not quantized"):
        evidence.leave(tmp_path / "x", model=evidence.original()[0], claim=CLAIM)


def test_neither_method_is_worse_than_rounding_in_any_matrix() -> None:
    ids = torch.randint(0, 100, (2, 24), generator=torch.Generator().manual_seed(1))
    found = quantized_layers.ratios(evidence.original()[0], ids)
    assert len(found["gptq"]) == len(found["awq"]) > 10
    assert max(found["awq"]) <= 1 + 1e-6
    assert sum(found["gptq"]) < 0.6 * len(found["gptq"])


# ---- recorded runs


def test_a_report_is_taken_down_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (row, other) = (each.row for each in quantized_runs.shipped("pico-r1")[:2])
    told = [quantized_runs.asdict(each) for each in (row, other)]
    report = {"model": "pico-r1", "rows": told}
    (tmp_path / "report.json").write_text(json.dumps(report))
    monkeypatch.setattr(quantized_runs, "_path", lambda: tmp_path / "runs.jsonl")
    monkeypatch.setattr(quantized_runs, "tokens_per_s", lambda _model: 7.0)
    opened = quantized_runs.quant.open_model
    monkeypatch.setattr(
        quantized_runs.quant,
        "open_model",
        lambda folder: opened(folder if folder.exists() else evidence_folder()),
    )
    for _time in range(2):
        assert quantized_runs.main([str(tmp_path)]) == 0
    assert "Wrote 2 lines" in capsys.readouterr().out
    found = quantized_runs.shipped("pico-r1")
    assert [each.row for each in found] == [row, other]
    assert found[0].tokens_per_s == 7.0
    assert quantized_runs.shipped("nobody") == []


def evidence_folder() -> Path:
    """Stands for a model that was quantized: its speed is not looked at."""
    return evidence.checkpoints.find("pico-r1")


def test_a_folder_without_a_report_is_refused(tmp_path: Path, capsys: Any) -> None:
    assert quantized_runs.main([str(tmp_path)]) == 2
    assert "holds no report" in capsys.readouterr().err


def test_shipped_lines_say_what_was_measured_on_how_much() -> None:
    for model in ("pico-r1", "smollm2"):
        first, *others = quantized_runs.shipped(model)
        assert first.is_original
        assert len(others) >= 5
        for each in others:
            assert each.row.perplexity_change.n >= 20
            assert each.row.bytes < first.row.bytes
