"""Keep several ways to round a row, where GPTQ keeps one.

GPTQ gives each column the code that is best for it alone. A worse code now may save
more later, and GPTQ never finds out: it is Babai's "nearest plane" (Chen et al.,
arXiv:2507.18553), which is near the best codes and seldom all of them. Here each row
goes on with its best few ways at once, and the best one is chosen at the end. In
decoders of radio signals this is the M-algorithm, or K-best sphere decoding.

What a way costs so far is exact. With H = G + λ I and Uᵀ U = H⁻¹, let e = d U⁻¹ for
the change d of a row. Then d H dᵀ = e eᵀ, a sum over columns; and because U is upper
triangular, e up to a column follows from the codes up to there. So the same factor,
and the same order, that GPTQ needs also say what each step costs.

Letters: N outputs, K inputs, W ways kept, C codes tried.
"""

import torch
from torch import Tensor

from sparrow.quant import affine
from sparrow.quant.affine import Grid

__all__ = ["search_columns"]

VALUES = 2**22  # in each tensor of ways or of codes tried, 16 MiB: bounds memory


def search_columns(
    weight: Tensor, grid: Grid, root: Tensor, bits: int, beam: int
) -> Tensor:
    """Round column by column, with up to `beam` ways for each row.

    Args:
        weight: the matrix.
        grid: a scale and a zero for each weight.
        root: U of `gptq.inverse_root`.
        bits: of a code.
        beam: ways kept after each column. With 2^(bits · (K - 1)) none is ever
            dropped, so the codes are the best of all.

    Shapes:
        weight: [N, K]; grid: [N, K] each; root: [K, K]; returns codes [N, K], int8.
    """
    root = root.to(weight.dtype)
    rows = max(1, VALUES // (beam * max(weight.shape[1], 2**bits)))
    parts = zip(*(each.split(rows) for each in (weight, *grid)), strict=True)
    return torch.cat(
        [_search(part, Grid(*own), root, bits, beam)[0] for part, *own in parts]
    )


def _search(
    weight: Tensor, grid: Grid, root: Tensor, bits: int, beam: int
) -> tuple[Tensor, Tensor]:
    """The best codes found and what they cost: [N, K], int8, and [N]."""
    # 1. One way, and nothing rounded. A way holds codes up to the column, and after
    # it what the weights have become: [N, W, K].
    ways, cost = weight[:, None].clone(), weight.new_zeros(len(weight), 1)
    for column in range(weight.shape[1]):
        scale = grid.scale[:, column, None, None]
        zero = grid.zero[:, column, None, None]
        left = ways[:, :, column, None]
        # 2. From each way, the codes that may be worth it: [N, W, C].
        tried = _near(left / scale + zero, bits, beam)
        # 3. Their errors as in GPTQ; squares add up to d H dᵀ.
        error = (left - (tried - zero) * scale) / root[column, column]
        total = (cost[..., None] + error.square()).flatten(1)
        # 4. Keep the cheapest: [N, W] of the new W.
        cost, place = total.topk(min(beam, total.shape[1]), largest=False)
        error, code = (each.flatten(1).gather(1, place) for each in (error, tried))
        # 5. Each goes on from the way that it came from.
        first = torch.arange(len(ways), device=ways.device)[:, None] * ways.shape[1]
        came = first + place // tried.shape[2]
        ways = ways.flatten(0, 1)[came.flatten()].unflatten(0, came.shape)
        ways[..., column] = code
        # 6. Later columns give way by their share, as in GPTQ.
        ways[..., column + 1 :] -= error[..., None] * root[column, column + 1 :]
    best = cost.argmin(dim=1)
    index = torch.arange(len(best), device=best.device)
    return ways[index, best].to(torch.int8), cost[index, best]


def _near(steps: Tensor, bits: int, beam: int) -> Tensor:
    """Neighbours on the grid, among them the `beam` codes that are nearest.

    No other code can be kept: `beam` codes of the same way would be cheaper.

    Shapes:
        steps: [N, W, 1], in codes, not whole; returns [N, W, C], in the same type.
    """
    low, high = affine.code_range(bits)
    count = min(2 * (beam // 2) + 1, high - low + 1)
    first = (steps.round() - beam // 2).clamp(low, high - count + 1)
    return first + torch.arange(count, dtype=steps.dtype, device=steps.device)
