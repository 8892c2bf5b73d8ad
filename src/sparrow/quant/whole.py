"""Multiply matrices of whole numbers exactly, by the faster of two ways.

PyTorch's `_int_mm` is quick where the processor has instructions for it, and a plain
loop, a hundred times slower than float32, where it has not: on most laptops.
"""

import time
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["has_fast_products", "product"]

# So many products of two 8-bit numbers add up to less than 2^24, which float32 holds.
EXACT = 1024
TRIAL = 256


def product(x: Tensor, codes: Tensor) -> Tensor:
    """Multiply whole numbers of 8 bits.

    Shapes:
        x: [R, K], int8; codes: [N, K], int8; returns [R, N], float32.
    """
    if has_fast_products():
        return torch._int_mm(x, codes.T).float()
    return _in_floats(x, codes)


def _in_floats(x: Tensor, codes: Tensor) -> Tensor:
    """Exact, since no sum leaves what float32 can count."""
    total = torch.zeros(len(x), len(codes))
    for left, right in zip(x.split(EXACT, 1), codes.split(EXACT, 1), strict=True):
        total += F.linear(left.float(), right.float())
    return total


@cache
def has_fast_products() -> bool:
    """Whether `_int_mm` is faster here than float32; tried once."""
    numbers = torch.ones(TRIAL, TRIAL, dtype=torch.int8)
    floats = numbers.float()
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: torch._int_mm(numbers, numbers.T),
        lambda: F.linear(floats, floats),
    )
    seconds = []
    for multiply in ways:
        tries = []
        for _trial in range(4):
            started = time.perf_counter()
            multiply()
            tries.append(time.perf_counter() - started)
        seconds.append(min(tries))
    return seconds[0] < seconds[1]
