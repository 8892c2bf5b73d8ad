"""A run that is killed comes back, and what a lab leaves can be measured again."""

from pathlib import Path

import pytest
import torch

from sparrow.errors import CheckpointError, SparrowError
from sparrow.train import evidence, power_cut, state

STEPS = 24


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run in peace, and one that is killed on the way and started again."""
    folder = tmp_path_factory.mktemp("runs")
    alone, cut = folder / "alone", folder / "cut"
    in_peace = power_cut.start(alone, seed=1, steps=STEPS)
    child = power_cut.start(cut, seed=1, steps=STEPS)
    died = power_cut.wait_for(child, cut, 13)
    child.kill()
    child.wait()
    assert died < STEPS
    child = power_cut.start(cut, seed=1, steps=STEPS)
    told: list[float] = []
    power_cut.finish({cut: child, alone: in_peace}, told.append)
    assert told[-1] == 2 * STEPS
    return folder


def test_a_killed_run_ends_as_if_nothing_had_happened(runs: Path) -> None:
    ended = [state.newest_state(runs / name / "states") for name in ("alone", "cut")]
    prints = {state.fingerprint(each.tensors) for each in ended if each}
    assert len(prints) == 1
    assert power_cut.losses(runs / "alone") == power_cut.losses(runs / "cut")
    assert len(power_cut.losses(runs / "alone")[1]) == STEPS
    first, told = power_cut.losses(runs / "cut", after=20)
    assert (first, len(told)) == (21, STEPS - 20)
    assert "Going on after step 10" in (runs / "cut" / "log.txt").read_text("utf-8")


def test_what_is_left_can_be_measured_again(runs: Path, tmp_path: Path) -> None:
    claim = {"mean": 3.0, "low": 2.9, "high": 3.1}
    names = {"alone": runs / "alone", "resumed": runs / "cut"}
    path = evidence.leave(
        tmp_path / evidence.FILE, **names, others=[runs / "cut"], claim=claim
    )
    found = evidence.read(path.read_bytes())
    assert state.fingerprint(found.alone) == state.fingerprint(found.resumed)
    assert found.claim == claim
    assert found.losses["alone"] == power_cut.losses(runs / "alone")[1]
    bits = evidence.measured(found)
    assert bits[0] == pytest.approx(evidence.bits_of_run(runs / "alone"), rel=1e-6)
    assert bits[1] == pytest.approx(bits[0], rel=1e-3)  # kept in half precision
    assert 1 < bits[0] < 6


def test_evidence_of_a_run_without_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint yet"):
        evidence.weights(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\x05\0\0\0\0\0\0\0{}", b"x" * 100])
def test_a_damaged_file_is_one_sentence(data: bytes) -> None:
    with pytest.raises(
        CheckpointError, match="the file that the lab leaves is damaged"
    ):
        evidence.read(data)


def test_a_foreign_file_of_tensors_is_one_sentence() -> None:
    from safetensors.torch import save

    with pytest.raises(CheckpointError, match="is damaged"):
        evidence.read(save({"a": torch.ones(2)}))


def test_a_run_that_cannot_begin_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = power_cut.start(tmp_path, seed=1, steps=3)  # too few for its warm-up
    with pytest.raises(SparrowError, match="ended after step 0.*does not fit"):
        power_cut.wait_for(child, tmp_path, 1)
    monkeypatch.setattr(power_cut, "COMMAND", "raise SystemExit(3)")
    child = power_cut.start(tmp_path / "other", seed=1, steps=30)
    with pytest.raises(SparrowError, match="Its last words: none"):
        power_cut.finish({tmp_path / "other": child})
