"""Keep a matrix in the order in which the processor multiplies fastest.

A product with few rows spends much of its time on bringing the weights into oneDNN's
own order. Weights that stay can be brought into it once, for as much memory again.
Where oneDNN is the slower library, this still pays for large matrices: few rows then
spend more time on bringing weights into an order than on products.
The plain twin is `torch.nn.functional.linear`.
"""

import time
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow import runtime

__all__ = ["keep", "pack"]

ROWS = 64  # for which the order is best; it works for any number
LARGE = 2**17  # weights
TRIAL = 32, 512, 2048  # rows, inputs, outputs


def keep(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies by this matrix, kept in whichever way is faster here.

    Shapes:
        weight: [O, I]; the answer takes [N, I] and returns [N, O].
    """
    if _is_onednn() or (weight.numel() >= LARGE and _pays()):
        return pack(weight)
    return lambda x: F.linear(x, weight)


def _can_pack() -> bool:
    """Whether this PyTorch can."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    )


def _is_onednn() -> bool:
    """Whether oneDNN is the faster library here for any matrix."""
    with runtime.fast_matmul() as library:
        return _can_pack() and library == "onednn"


@cache
def _pays() -> bool:
    """Whether a large packed matrix is faster, and as exact; tried once."""
    if not _can_pack():
        return False
    draw = runtime.generator(0)
    rows, inputs, outputs = TRIAL
    x = torch.randn(rows, inputs, generator=draw)
    weight = torch.randn(outputs, inputs, generator=draw)
    exact = x.double() @ weight.double().T

    def try_out(multiply: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """The least seconds of a product, and its largest error."""
        seconds = []
        for _trial in range(8):
            started = time.perf_counter()
            product = multiply(x)
            seconds.append(time.perf_counter() - started)
        return min(seconds), float((product.double() - exact).abs().max())

    packed_s, packed_error = try_out(pack(weight))
    plain_s, plain_error = try_out(lambda x: F.linear(x, weight))
    return packed_s < 0.9 * plain_s and packed_error < 4 * plain_error


def pack(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies by this matrix, which is kept in oneDNN's order.

    Shapes:
        weight: [O, I]; the answer takes [N, I] and returns [N, O].
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, None, "none", [], "")
