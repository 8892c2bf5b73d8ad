"""Eight-bit floating point, with a scale for every small tile.

DeepSeek-V3 (arXiv:2412.19437, section 3.3.2) multiplies in E4M3: one bit of sign, four
of exponent, three of mantissa, numbers up to 448. Tiles keep one outlier from spoiling
everything else: 1 × 128 for activations, 128 × 128 for weights. Where a processor has
no such arithmetic, the numbers are made here and multiplied in float32, which holds
every product of two of them exactly.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Tiles", "from_fp8", "multiply", "tile_scale", "to_fp8"]

LARGEST = 448.0  # of E4M3
SIDE = 128
TINY = torch.finfo(torch.float32).smallest_normal * LARGEST  # of a tile of zeros


class Tiles(NamedTuple):
    """E4M3 numbers, and a scale for each tile of `rows` x 128 of them.

    Shapes: codes [N, K]; scale [ceil(N / rows), ceil(K / 128)], float32.
    """

    codes: Tensor
    scale: Tensor


def tile_scale(x: Tensor, rows: int) -> Tensor:
    """The scale of each tile: its largest number becomes 448, E4M3's largest.

    Args:
        x: the numbers.
        rows: height of a tile: 1 for activations, 128 for weights.

    Shapes:
        x: [N, K]; returns [ceil(N / rows), ceil(K / 128)].

    Source: arXiv:2412.19437, section 3.3.2.
    """
    # 1. Fill the last tiles up with zeros, which change no maximum.
    height, width = x.shape
    padded = F.pad(x, (0, -width % SIDE, 0, -height % rows))
    # 2. Cut into tiles: [rows of tiles, rows, columns of tiles, 128].
    tiles = padded.unflatten(1, (-1, SIDE)).unflatten(0, (-1, rows))
    # 3. The largest number of each tile, whatever its sign; at least TINY. By 448.
    return tiles.abs().amax(dim=(1, 3)).clamp(min=TINY) / LARGEST


def to_fp8(x: Tensor, rows: int) -> Tiles:
    """Divide each tile by its scale, and round to E4M3.

    Args and shapes as in `tile_scale`; see `Tiles`.
    """
    # 1. One scale a tile.
    scale = tile_scale(x.float(), rows)
    # 2. The scale of every number.
    height, width = x.shape
    spread = scale.repeat_interleave(rows, 0)[:height]
    spread = spread.repeat_interleave(SIDE, 1)[:, :width]
    # 3. Divide, and let the cast round.
    return Tiles((x / spread).to(torch.float8_e4m3fn), scale)


def from_fp8(tiles: Tiles, rows: int) -> Tensor:
    """The numbers that the tiles stand for. Shapes: returns [N, K], float32."""
    height, width = tiles.codes.shape
    spread = tiles.scale.repeat_interleave(rows, 0)[:height]
    return tiles.codes.float() * spread.repeat_interleave(SIDE, 1)[:, :width]


def multiply(x: Tiles, weight: Tiles) -> Tensor:
    """x · weightᵀ as the hardware does it: tile by tile, scaled after each sum.

    Args:
        x: activations, in tiles of 1 x 128.
        weight: in tiles of 128 x 128.

    Shapes:
        x: [S, K]; weight: [N, K]; returns [S, N], float32.

    Source: arXiv:2412.19437, section 3.3.2: partial sums are promoted to float32.
    """
    outputs = weight.codes.shape[0]
    total = torch.zeros(x.codes.shape[0], outputs, device=x.codes.device)
    for tile, first in enumerate(range(0, x.codes.shape[1], SIDE)):
        # 1. Multiply the 128 columns of this tile, without any scale.
        left = x.codes[:, first : first + SIDE].float()
        right = weight.codes[:, first : first + SIDE].float()
        # 2. Both scales: one for each row of x, one for each 128 rows of the weight.
        column = weight.scale[:, tile].repeat_interleave(SIDE)[:outputs]
        # 3. Scale the partial sum, and add it in float32.
        total += (left @ right.T) * x.scale[:, tile, None] * column
    return total
