"""A checkpoint holds everything, is whole or not there, and shows every damage."""

import os
from pathlib import Path

import pytest
import torch

from sparrow import Sparrow
from sparrow.errors import CheckpointError, StorageError
from sparrow.train.optimizer import make_optimizer, parameter_groups
from sparrow.train.recipe import Recipe
from sparrow.train.state import (
    State,
    capture,
    fingerprint,
    newest_state,
    open_state,
    restore,
    save_state,
    state_files,
)
from tests.unit.test_train_loss import TINY, tiny_model


def trained_a_little() -> tuple[Sparrow, torch.optim.Optimizer]:
    model = tiny_model()
    optimizer = make_optimizer(model, Recipe(model=TINY, length=16))
    model(torch.tensor([[1, 2, 3]])).sum().backward()
    optimizer.step()
    return model, optimizer


def some_state(step: int = 7) -> State:
    return State(step=step, tensors=capture(*trained_a_little()), facts={"told": "é"})


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    saved = some_state()
    found = open_state(save_state(tmp_path, saved))
    assert found.step == 7
    assert found.facts == {"told": "é"}
    assert fingerprint(found.tensors) == fingerprint(saved.tensors)


def test_restore_brings_back_weights_memory_biases_and_generators() -> None:
    model, optimizer = trained_a_little()
    next(iter(model.gates())).e_score_correction_bias.fill_(0.25)
    torch.manual_seed(5)
    kept = capture(model, optimizer)
    drawn = torch.rand(3)
    other = tiny_model()
    other_optimizer = make_optimizer(other, Recipe(model=TINY, length=16))
    restore(kept, other, other_optimizer)
    assert torch.equal(torch.rand(3), drawn)
    assert float(next(iter(other.gates())).e_score_correction_bias[0]) == 0.25
    kept_again = capture(other, other_optimizer)
    for name in kept.keys() - {"generator.cpu"}:
        assert torch.equal(kept[name], kept_again[name]), name


def test_the_state_of_another_model_is_refused() -> None:
    kept = capture(*trained_a_little())
    wider = tiny_model(moe_intermediate_size=12)
    with pytest.raises(CheckpointError, match="a model of another shape"):
        restore(kept, wider, make_optimizer(wider, Recipe(model=TINY, length=16)))


def test_a_fingerprint_sees_one_bit_a_name_a_shape_and_a_type() -> None:
    ones = torch.ones(4)
    almost = ones.clone()
    almost[2] = torch.nextafter(almost[2], torch.tensor(2.0))
    different = [
        {"a": ones},
        {"a": almost},
        {"b": ones},
        {"a": ones.view(2, 2)},
        {"a": ones.to(torch.int32).view(torch.float32).view(torch.int32)},
        {"a": torch.tensor(1.0)},
        {},
    ]
    assert len({fingerprint(each) for each in different}) == len(different)
    assert fingerprint({"a": ones, "b": almost}) == fingerprint(
        {"b": almost, "a": ones}
    )


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 20, 3):
        save_state(tmp_path, State(step=step, tensors={}, facts={}))
    assert [path.name for path in state_files(tmp_path)] == [
        "step-00000020.safetensors",
        "step-00000003.safetensors",
    ]


def test_a_truncated_newest_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path,
) -> None:
    save_state(tmp_path, some_state(1))
    newest = save_state(tmp_path, some_state(2))
    whole = newest.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:size])
        found = newest_state(tmp_path)
        assert found is not None
        assert found.step == 1


def test_one_changed_bit_is_seen(tmp_path: Path) -> None:
    path = save_state(tmp_path, some_state())
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        open_state(path)


def test_if_all_are_damaged_nothing_begins_anew_in_silence(tmp_path: Path) -> None:
    for step in (1, 2):
        save_state(tmp_path, some_state(step)).write_bytes(b"half")
    with pytest.raises(CheckpointError, match="cut short or damaged"):
        newest_state(tmp_path)


def test_a_file_of_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "step-00000001.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_state(path)


def test_nothing_there_is_no_state(tmp_path: Path) -> None:
    assert newest_state(tmp_path) is None
    assert newest_state(tmp_path / "missing") is None


def test_a_write_that_fails_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path, some_state(1))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        save_state(tmp_path, some_state(2))
    monkeypatch.undo()
    found = newest_state(tmp_path)
    assert found is not None
    assert found.step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]


def test_matrices_decay_and_norms_do_not() -> None:
    model = tiny_model()
    matrices, scales = parameter_groups(model, 0.1)
    assert matrices["weight_decay"] == 0.1
    assert scales["weight_decay"] == 0.0
    assert all(each.dim() > 1 for each in matrices["params"])  # type: ignore[attr-defined]
    assert all(each.dim() == 1 for each in scales["params"])  # type: ignore[attr-defined]
    both = len(matrices["params"]) + len(scales["params"])  # type: ignore[arg-type]
    assert both == len(list(model.parameters()))
