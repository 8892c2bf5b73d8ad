"""Small matrices, grids for them, and inputs that depend on each other."""

import torch
from torch import Tensor

from sparrow.checks.protocol import Plain
from sparrow.quant.affine import Grid

__all__ = ["ATOL", "RTOL", "gram", "matrix", "plain_grid", "some"]

RTOL, ATOL = 1e-5, 1e-7


def some(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def matrix(generator: torch.Generator, rows: int, width: int) -> Tensor:
    """Weights, each row of another size. Shapes: [N, K]."""
    sizes = torch.rand(rows, 1, generator=generator) + 0.1
    return torch.randn(rows, width, generator=generator) * sizes


def gram(generator: torch.Generator, width: int, *, inputs: int = 64) -> Tensor:
    """Σ x xᵀ over inputs of which neighbours are alike. Shapes: [K, K]."""
    x = torch.randn(inputs, width, generator=generator)
    x = x + 0.9 * x.roll(1, dims=1) + 0.5 * x[:, :1]
    x = x * torch.linspace(0.2, 3, width)
    return x.T @ x


def plain_grid(grid: Grid) -> dict[str, Plain]:
    """A grid as plain data."""
    return {"scale": grid.scale, "zero": grid.zero}
