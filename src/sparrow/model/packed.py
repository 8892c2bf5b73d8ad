"""Keep a matrix in the order in which the processor multiplies fastest.

A product with few rows spends much of its time on bringing the weights into oneDNN's
own order. Weights that stay can be brought into it once, for as much memory again.
The plain twin is `torch.nn.functional.linear`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow import runtime

__all__ = ["can_pack", "pack"]

ROWS = 64  # for which the order is best; it works for any number


def can_pack() -> bool:
    """Whether this PyTorch can, and oneDNN is the faster library here."""
    has_packing = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    )
    if not has_packing:
        return False
    with runtime.fast_matmul() as library:
        return library == "onednn"


def pack(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies by this matrix, which is kept in oneDNN's order.

    Shapes:
        weight: [O, I]; the answer takes [N, I] and returns [N, O].
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, None, "none", [], "")
