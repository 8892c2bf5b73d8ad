"""Round one column after the other, and let the others make up for the error.

GPTQ (Frantar et al., arXiv:2210.17323). What counts is not how near a rounded matrix is
to the old one but how near its outputs are, on inputs that really occur: with
G = Σ x xᵀ over such inputs, the squared error of a row is d G dᵀ, d being what rounding
changed in the row.
"""

import torch
from torch import Tensor

from sparrow.quant import affine, beam
from sparrow.quant.affine import Grid

__all__ = ["inverse_root", "output_error", "quantize", "round_columns"]

DAMPING = 0.01  # of the mean of the diagonal; section 3.3, step 3


def output_error(change: Tensor, gram: Tensor) -> Tensor:
    """The squared error that a change of the weights makes in each output.

    Shapes:
        change: [N, K]; gram: [K, K]; returns [N].
    """
    return ((change @ gram) * change).sum(dim=-1)


def inverse_root(gram: Tensor, damping: float = DAMPING) -> Tensor:
    """U with Uᵀ U = (G + λ I)⁻¹, upper triangular.

    Row i of U says how the columns after i make up for an error in column i.

    Args:
        gram: G, the sum of x xᵀ over the inputs of calibration.
        damping: λ as a part of the mean of the diagonal.

    Shapes:
        gram: [K, K]; returns [K, K], float64.

    Source: arXiv:2210.17323, section 3.3, step 3.
    """
    # 1. In float64: G of few inputs is nearly singular.
    damped = gram.double().clone()
    # 2. Add λ to the diagonal, which makes every direction count a little.
    diagonal = damped.diagonal()
    level = damping * diagonal.mean() if diagonal.any() else diagonal.new_ones(())
    damped.diagonal().add_(level)
    # 3. Invert by way of its own Cholesky factor, then take the factor of the inverse.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)


def round_columns(weight: Tensor, grid: Grid, root: Tensor, bits: int) -> Tensor:
    """Round column by column; the columns to come take over each error.

    Args:
        weight: the matrix.
        grid: a scale and a zero for each weight: a column is rounded on its own.
        root: U of `inverse_root`.
        bits: of a code.

    Shapes:
        weight: [N, K]; grid: [N, K] each; root: [K, K]; returns codes [N, K], int8.

    Source: arXiv:2210.17323, algorithm 1, with blocks of one column.
    """
    # 1. Columns become rows, since those lie together in memory; a copy to work on.
    left, root = weight.T.clone(), root.to(weight.dtype)
    codes = torch.empty_like(weight, dtype=torch.int8)
    for column in range(weight.shape[1]):
        # 2. Round this column on its own grid.
        own = Grid(grid.scale[:, column, None], grid.zero[:, column, None])
        rounded = affine.round_to_grid(left[column, :, None], own, bits)
        codes[:, column] = rounded[:, 0]
        # 3. Its error, in units of the root's diagonal.
        error = left[column] - affine.from_grid(rounded, own)[:, 0]
        error = error / root[column, column]
        # 4. Every later column gives way by its share of that error.
        left[column + 1 :] -= root[column, column + 1 :, None] * error
    return codes


def quantize(
    weight: Tensor,
    gram: Tensor,
    grid: Grid,
    bits: int,
    damping: float = DAMPING,
    ways: int = 1,
) -> Tensor:
    """Codes whose outputs come near to those of `weight`, on the given grid.

    Columns that carry most come first ("act-order"), while all others can still make
    up for them. The grid stays that of the original weights, so that groups are
    neighbours and every kernel can read them.

    Args:
        weight: the matrix.
        gram: see `inverse_root`.
        grid: a scale and a zero for each group.
        bits: of a code.
        damping: see `inverse_root`.
        ways: to round a row, kept side by side; 1 is GPTQ as published.

    Shapes:
        weight: [N, K]; gram: [K, K]; grid: [N, G] each; returns [N, K], int8.
    """
    # 1. The strongest inputs first.
    order = gram.diagonal().argsort(descending=True, stable=True)
    # 2. A scale and a zero for each column, in that order.
    size = weight.shape[1] // grid.scale.shape[1]
    own = Grid(*(each.repeat_interleave(size, 1)[:, order] for each in grid))
    # 3. Round.
    root = inverse_root(gram[order][:, order], damping)
    if ways == 1:
        codes = round_columns(weight[:, order], own, root, bits)
    else:
        codes = beam.search_columns(weight[:, order], own, root, bits, ways)
    # 4. Back to the old order.
    return codes[:, order.argsort()]
