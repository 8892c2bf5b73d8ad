"""Muon: equal steps in all directions, and PyTorch's own Muon as the twin."""

import dataclasses
from pathlib import Path

import pytest
import torch

from sparrow.train import muon
from sparrow.train.loop import pretrain
from sparrow.train.muon import Muon, orthogonalise
from sparrow.train.optimizer import make_optimizer
from sparrow.train.recipe import Recipe
from tests.unit.test_pretrain import RECIPE, losses, stop_at
from tests.unit.test_train_loss import TINY, tiny_model


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6), (3, 8, 12)])
def test_all_singular_values_become_about_one(shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=draw) * 30
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_a_stack_is_a_stack_of_matrices() -> None:
    stack = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(1))
    for one, both in zip(stack, orthogonalise(stack), strict=True):
        torch.testing.assert_close(orthogonalise(one), both, atol=1e-5, rtol=1e-5)


def test_no_gradient_moves_nothing_but_the_decay() -> None:
    weight = torch.nn.Parameter(torch.ones(3, 4))
    weight.grad = torch.zeros(3, 4)
    Muon([weight], [], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.full((3, 4), 0.95))


def test_it_moves_a_matrix_as_pytorchs_muon_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(muon, "STRONGER", 1.0)
    draw = torch.Generator().manual_seed(2)
    first = torch.randn(12, 8, generator=draw)
    ours, theirs = (torch.nn.Parameter(first.clone()) for _side in range(2))
    mine = Muon([ours], [], lr=0.02, weight_decay=0.1)
    peer = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _step in range(4):
        ours.grad = torch.randn(12, 8, generator=draw)
        theirs.grad = ours.grad.clone()
        mine.step()
        peer.step()
    # PyTorch's iterates in bfloat16, which has three digits
    torch.testing.assert_close(ours, theirs, atol=0.01, rtol=0.02)


def test_what_is_no_matrix_follows_adamw_to_the_bit() -> None:
    draw = torch.Generator().manual_seed(3)
    ours, theirs = (torch.nn.Parameter(torch.ones(9)) for _side in range(2))
    mine = Muon([], [{"params": [ours], "weight_decay": 0.0}], lr=0.1)
    peer = torch.optim.AdamW(
        [theirs], lr=0.1, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    for _step in range(3):
        ours.grad = torch.randn(9, generator=draw)
        theirs.grad = ours.grad.clone()
        mine.step()
        peer.step()
    assert torch.equal(ours, theirs)


def test_rows_that_stand_for_tokens_or_experts_are_no_matrices() -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, Recipe(model=TINY, length=16, optimizer="muon"))
    matrices, others = (set(group["params"]) for group in optimizer.param_groups)
    assert model.embed_tokens.weight in others
    assert all(gate.weight in others for gate in model.gates())
    assert all(each.dim() > 1 for each in matrices)
    assert matrices | others == set(model.parameters())


def test_a_run_with_muon_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer="muon")
    whole = pretrain(recipe, tmp_path / "whole")
    stop_at(tmp_path / "cut", 7, recipe)
    assert pretrain(recipe, tmp_path / "cut").fingerprint == whole.fingerprint
    told = losses(tmp_path / "cut")
    assert told[-1][1] < told[0][1] - 0.5
