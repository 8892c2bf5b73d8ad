"""Keep two codes of four bits in one byte."""

import torch
from torch import Tensor

__all__ = ["pack_int4", "unpack_int4"]


def pack_int4(codes: Tensor) -> Tensor:
    """Two neighbours in one byte: the first in its low half, the second in its high.

    Shapes:
        codes: [..., K], int8 in -8..7, K even; returns [..., K / 2], uint8.
    """
    # 1. Codes without a sign: 0..15.
    unsigned = (codes + 8).to(torch.uint8)
    # 2. The first of each pair, and the second.
    first, second = unsigned[..., 0::2], unsigned[..., 1::2]
    # 3. Move the second four bits up, beside the first.
    return first | (second << 4)


def unpack_int4(packed: Tensor) -> Tensor:
    """The codes of `pack_int4`. Shapes: [..., K / 2], uint8 -> [..., K], int8."""
    # 1. The low half of each byte, and the high half.
    first, second = packed & 15, packed >> 4
    # 2. Side by side again, with their sign.
    return torch.stack((first, second), dim=-1).flatten(-2).to(torch.int8) - 8
