"""Keep what is read again and again in large pages of memory, on Linux.

The processor must look up where each page is. Half a gigabyte of weights has a hundred
thousand pages of the usual 4 KiB, and some hundred large ones. Linux gives large pages
to those who ask, if it has some; if it has not, nothing changes but the time.
"""

import contextlib
import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["keep", "zeros"]

ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)
PAGE = 2**21  # bytes of a large page
CHUNK = 16 * PAGE  # what is asked for at once
LINE = 64  # where a tensor begins: a line of the processor's caches


class Chunk:
    """Memory that is filled from its beginning; it lives as long as its tensors."""

    def __init__(self, room: int, advice: int) -> None:
        self.memory = mmap.mmap(-1, room + PAGE)
        with contextlib.suppress(OSError):  # a system that was built without
            self.memory.madvise(advice)
        start = torch.frombuffer(self.memory, dtype=torch.uint8).data_ptr()
        self.used = -start % PAGE
        self.end = self.used + room

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The next place, which is zero as nobody had it before."""
        count = math.prod(shape)
        place = torch.frombuffer(
            self.memory, dtype=dtype, count=count, offset=self.used
        )
        self.used += _whole(count * dtype.itemsize, LINE)
        return place.view(shape)


_current: list[Chunk] = []  # the one that still has room


def zeros(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """As `torch.zeros`, in the processor's memory. Small tensors share their pages."""
    size = math.prod(shape) * dtype.itemsize
    if ADVICE is None or not size:
        return torch.zeros(shape, dtype=dtype)
    if not _current or _current[0].end - _current[0].used < size:
        _current[:] = [Chunk(max(CHUNK, _whole(size, PAGE)), ADVICE)]
    return _current[0].take(shape, dtype)


def keep(tensor: Tensor) -> Tensor:
    """A contiguous copy of a tensor."""
    return zeros(tensor.shape, tensor.dtype).copy_(tensor)


def _whole(size: int, step: int) -> int:
    return -(-size // step) * step
