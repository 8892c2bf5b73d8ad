"""Keep the size of a vector in check: divide it by its root mean square."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["RMSNorm", "rms_norm"]

Whole: TypeAlias = Callable[["RMSNorm", Tensor], Tensor | None]


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide each vector by its root mean square, then scale each feature.

    Args:
        x: vectors, in any precision.
        weight: one learned scale for each feature.
        eps: a small number *inside* the root, so that a zero vector stays zero.

    Shapes:
        x: [..., D]; weight: [D]; returns [..., D] in the precision of x.

    Source: Zhang and Sennrich, arXiv:1910.07467, equation 4.
    """
    # 1. Work in float32: squares of half-precision numbers overflow.
    x_float = x.float()
    # 2. The mean of the squares over the features, keeping the last axis.
    mean_square = x_float.pow(2).mean(dim=-1, keepdim=True)
    # 3. Multiply by the inverse root; eps is added before the root is taken.
    normed = x_float * torch.rsqrt(mean_square + eps)
    # 4. Return to the precision of x, then scale each feature.
    return weight * normed.to(x.dtype)


class RMSNorm(nn.Module):
    """`rms_norm` with its learned weight. Shapes: [..., D] -> [..., D]."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps
        # Does it in one call, where it can: see `compile_layers`.
        self.whole: Whole | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        if self.whole is not None and (made := self.whole(self, x)) is not None:
            return made
        return rms_norm(x, self.weight, self.eps)
