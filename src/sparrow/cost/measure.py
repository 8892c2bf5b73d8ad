"""Ask this machine how fast it computes and how fast it reads."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sparrow import runtime

__all__ = [
    "Measured",
    "call_seconds",
    "copy_rate",
    "matmul_rate",
    "median_interval",
]

MIB = 1024**2
LEAST_REPEAT_S = 0.02  # shorter ones measure the clock and the call


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A median, its interval, and every repeat that it comes from."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many repeats."""
        return len(self.values)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Measured:
    """The median and an interval that needs no bell curve.

    Each repeat falls below the true median with probability one half. So the count
    of repeats below it is binomial, and two of the sorted repeats enclose it.
    With fewer than six repeats nothing reaches 95 %: the interval is all of them.
    """
    # 1. Sort the repeats; the median is the middle one.
    ordered = sorted(values)
    n = len(ordered)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    # 2. Leave out as many at each end as the confidence allows.
    tail, skipped = 0.5**n, 0
    while skipped + 1 <= (n - 1) // 2:
        tail += math.comb(n, skipped + 1) * 0.5**n
        if 2 * tail > 1 - confidence:
            break
        skipped += 1
    # 3. The outermost of those that stay are the ends of the interval.
    return Measured(
        median=middle,
        low=ordered[skipped],
        high=ordered[n - 1 - skipped],
        values=tuple(values),
    )


def matmul_rate(
    *, size: int | None = None, repeats: int = 15, where: torch.device | None = None
) -> Measured:
    """FLOPs per second of a large matrix product, in the precision of training.

    Args:
        size: rows and columns of both matrices; the default suits the device.
        repeats: how many times to measure.
        where: the device; by default the one that the labs use.
    """
    device = where or runtime.device()
    n = size or (8192 if device.type == "cuda" else 1024)
    rng = runtime.generator(0)
    dtype = runtime.compute_dtype(device)
    a, b = (torch.randn(n, n, generator=rng).to(device, dtype) for _each in range(2))
    out = torch.empty_like(a)
    # A product of two n × n matrices is n³ multiplications and n³ additions.
    return _rate(lambda: torch.mm(a, b, out=out), 2.0 * n**3, repeats, device)


def copy_rate(
    *, mib: int = 256, repeats: int = 15, where: torch.device | None = None
) -> Measured:
    """Bytes per second that memory delivers: read once, written once."""
    device = where or runtime.device()
    source = torch.ones(mib * MIB // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    return _rate(lambda: target.copy_(source), 2.0 * mib * MIB, repeats, device)


def call_seconds(
    work: Callable[[], object], *, repeats: int = 9, where: torch.device | None = None
) -> Measured:
    """Seconds that one call of `work` takes, after one that is not counted."""
    device = where or runtime.device()
    _seconds(work, 1, device)
    return median_interval([_seconds(work, 1, device) for _each in range(repeats)])


def _rate(
    work: Callable[[], object], amount: float, repeats: int, device: torch.device
) -> Measured:
    """Amount per second, measured `repeats` times after a warm-up."""
    _seconds(work, 2, device)  # the first calls also load code and wake the clock
    once_s = _seconds(work, 1, device)
    calls = max(1, math.ceil(LEAST_REPEAT_S / max(once_s, 1e-9)))
    return median_interval(
        [amount * calls / _seconds(work, calls, device) for _each in range(repeats)]
    )


def _seconds(work: Callable[[], object], calls: int, device: torch.device) -> float:
    """Seconds for some calls; a GPU is waited for, since it answers early."""
    _wait(device)
    start = time.perf_counter()
    for _call in range(calls):
        work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
