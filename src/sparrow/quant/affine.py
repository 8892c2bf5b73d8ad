"""Give each weight a whole number on a grid: a scale, and where zero lies.

    weight ≈ (code - zero) · scale

A grid belongs to a whole row of a matrix (an output channel) or to a group of
neighbours in it. Codes of b bits are signed: -2^(b-1) … 2^(b-1) - 1.

Letters: N outputs, K inputs, G groups a row.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Grid",
    "asymmetric_grid",
    "code_range",
    "from_grid",
    "round_to_grid",
    "symmetric_grid",
]

TINY = torch.finfo(torch.float32).smallest_normal  # the scale of a group of zeros


class Grid(NamedTuple):
    """A scale for each group, and the code that means zero. Shapes: [N, G], [N, G]."""

    scale: Tensor
    zero: Tensor


def code_range(bits: int) -> tuple[int, int]:
    """The lowest and the highest code."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def symmetric_grid(weight: Tensor, bits: int, group_size: int) -> Grid:
    """A grid around zero, as wide as the largest weight of each group.

    Args:
        weight: the matrix.
        bits: of a code.
        group_size: weights that share a scale; K for one scale a row.

    Shapes:
        weight: [N, K]; see `Grid`.

    Source: Jacob et al., arXiv:1712.05877, section 2.1, with zero at code 0.
    """
    # 1. The groups of each row: [N, G, K / G].
    groups = weight.unflatten(-1, (-1, group_size))
    # 2. The largest weight of a group, whatever its sign.
    largest = groups.abs().amax(dim=-1)
    # 3. From -largest to largest there are 2^bits - 1 steps.
    scale = largest / ((2**bits - 1) / 2)
    # 4. Zero keeps code 0. A group of zeros has the scale TINY.
    return Grid(scale.clamp(min=TINY), torch.zeros_like(scale))


def asymmetric_grid(weight: Tensor, bits: int, group_size: int) -> Grid:
    """A grid from the lowest to the highest weight of each group, with zero on it.

    Args:
        weight: the matrix.
        bits: of a code.
        group_size: weights that share a scale; K for one scale a row.

    Shapes:
        weight: [N, K]; see `Grid`.

    Source: Jacob et al., arXiv:1712.05877, section 2.1.
    """
    # 1. The groups of each row: [N, G, K / G].
    groups = weight.unflatten(-1, (-1, group_size))
    # 2. The ends of each group; zero always lies between them.
    low, high = groups.amin(dim=-1).clamp(max=0), groups.amax(dim=-1).clamp(min=0)
    # 3. From the lowest to the highest there are 2^bits - 1 steps; at least TINY.
    scale = ((high - low) / (2**bits - 1)).clamp(min=TINY)
    # 4. The code that means zero: as many steps above the lowest code as `low` is
    # below zero.
    first, last = code_range(bits)
    zero = (first - (low / scale).round()).clamp(first, last)
    return Grid(scale, zero)


def round_to_grid(weight: Tensor, grid: Grid, bits: int) -> Tensor:
    """The nearest code of each weight.

    Shapes:
        weight: [N, K]; grid: see `Grid`; returns [N, K], int8.
    """
    # 1. One scale and one zero for each group: [N, G, 1].
    scale, zero = grid.scale[..., None], grid.zero[..., None]
    # 2. Count steps, to the nearest whole one. (Times 1/scale and not divided by it:
    # so does torchao, and the last bit decides where two codes are equally near.)
    groups = weight.unflatten(-1, (grid.scale.shape[-1], -1))
    steps = (groups * (1.0 / scale)).round()
    # 3. Count from the code that means zero, and stay on the grid.
    codes = (steps + zero).clamp(*code_range(bits))
    return codes.flatten(-2).to(torch.int8)


def from_grid(codes: Tensor, grid: Grid) -> Tensor:
    """The weights that the codes stand for.

    Shapes:
        codes: [N, K]; grid: see `Grid`; returns [N, K] in the precision of the scales.
    """
    # 1. The groups of each row: [N, G, K / G].
    groups = codes.unflatten(-1, (grid.scale.shape[-1], -1)).to(grid.scale.dtype)
    # 2. Steps from zero, times the size of a step.
    return ((groups - grid.zero[..., None]) * grid.scale[..., None]).flatten(-2)
