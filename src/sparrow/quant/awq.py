"""Make the weights that carry most larger before rounding, and their inputs smaller.

AWQ (Lin et al., arXiv:2306.00978). Whatever is multiplied into a column of a matrix is
divided out of the vector that it reads, by whoever makes that vector: the norm before
it, or the matrix before it. Nothing is left to do at run time.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparrow.quant import gptq

__all__ = ["divide_rows", "multiply_columns", "search_scale"]

STEPS = 20


def search_scale(
    weight: Tensor, gram: Tensor, size: Tensor, rounded: Callable[[Tensor], Tensor]
) -> Tensor:
    """The best power of the inputs' size, as a scale for each column.

    Args:
        weight: all matrices that read the same vector, one below the other.
        gram: the sum of x xᵀ over the inputs of calibration.
        size: the mean of |x|, feature by feature.
        rounded: a matrix, rounded to its grid and back.

    Shapes:
        weight: [N, K]; gram: [K, K]; size: [K]; returns [K].

    Source: arXiv:2306.00978, section 3.2, equations 4 and 5.
    """
    best, least = torch.ones_like(size), float("inf")
    for step in range(STEPS):
        # 1. A scale for each column: size (at least 0.0001) to the power of
        # step / STEPS. Power 0 changes nothing: never worse than plain rounding.
        scale = size.clamp(min=1e-4) ** (step / STEPS)
        # 2. Only ratios count: divide by the root of the largest times the smallest.
        scale = scale / (scale.max() * scale.min()).sqrt()
        # 3. Round the scaled matrix, and divide the scale out again.
        change = rounded(weight * scale) / scale - weight
        # 4. Keep the scale whose outputs differ least.
        error = float(gptq.output_error(change, gram).sum())
        if error < least:
            best, least = scale, error
    return best


def multiply_columns(weights: Sequence[Tensor], scale: Tensor) -> None:
    """Scale, in place, the columns of all matrices that read a vector.

    Shapes:
        weights: [N, K] each, N may differ; scale: [K].
    """
    for each in weights:
        each.mul_(scale)


def divide_rows(makers: Sequence[Tensor], scale: Tensor) -> None:
    """Divide, in place, what makes the vector: a norm's weight, or a matrix's rows.

    Shapes:
        makers: [k] or [..., k, C] each, rows in the order of the vector; together
        they make K features; scale: [K].
    """
    sizes = [each[..., 0].numel() if each.dim() > 1 else len(each) for each in makers]
    for each, part in zip(makers, scale.split(sizes), strict=True):
        each.div_(part.view(*each.shape[:-1], 1) if each.dim() > 1 else part)
