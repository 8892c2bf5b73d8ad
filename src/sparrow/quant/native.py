"""Let this machine's own compiler make products of rows and matrices that stay.

PyTorch's kernels for few bits are made for processors of one kind, and are many times
slower than the memory on others. Those for floating point numbers ask the memory for
weights only when they are needed. `cpp/` holds a few hundred lines of C++ in their
place. Their plain twins are those kernels.
"""

import ctypes
from ctypes import POINTER, c_int, c_int64, c_void_p
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sparrow import large_pages
from sparrow import native as compiler
from sparrow.quant import packing

__all__ = ["Laid", "Matrix", "floats", "library", "matrix", "multiply"]

SOURCES = Path(__file__).with_name("cpp")
FLAG = "-fassociative-math"  # sums may be made in another order
# What the C++ asks of a matrix.
TAKEN, STRIDE, WIDEST = 8, 32, 8192
INT32_MAX = 2**31 - 1
WORD_MAX = 2**15 - 1
TWO_BYTES_MAX = 127 * 256 + 127  # an upper and a lower byte, each with a sign
SMALL = 2**16  # so many weights: PyTorch is quick enough, and nobody has to compile


class Kind(IntEnum):
    """How the numbers of a matrix lie: see `cpp/matrix.h`."""

    FLOATS, BYTES, WORDS = range(3)


class Matrix(ctypes.Structure):
    """A matrix as the C++ knows it: see `cpp/matrix.h`."""

    _fields_ = (
        *((name, c_void_p) for name in ("numbers", "scale", "zero")),
        *((name, c_int64) for name in ("outputs", "width", "group", "most", "kind")),
    )


@dataclass(frozen=True, kw_only=True)
class Laid:
    """A matrix that was laid out: what `Matrix` says, and where it stands."""

    numbers: Tensor
    outputs: int
    width: int
    kind: Kind
    scale: Tensor | None = None
    zero: Tensor | None = None
    group: int = 0
    most: int = 0

    @property
    def matrix(self) -> Matrix:
        """For one call; it says where the tensors are as long as they live."""
        tensors = self.numbers, self.scale, self.zero
        places = [None if each is None else each.data_ptr() for each in tensors]
        sizes = self.outputs, self.width, self.group, self.most
        return Matrix(*places, *sizes, self.kind)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None where they cannot be had."""
    made = compiler.library(SOURCES, FLAG)
    if made is None:
        return None
    product = POINTER(Matrix), c_void_p, c_int64, c_int, c_void_p
    made.sparrow_product.argtypes = product
    for each in (made.sparrow_product, made.sparrow_step, made.sparrow_attend):
        each.restype = None
    return made


def floats(weight: Tensor) -> Laid | None:
    """Lay out a matrix of floating point numbers.

    Shapes:
        weight: [O, K].

    Returns:
        None if the matrix is small, or its shape is not known, or there is no C++.
    """
    outputs, width = weight.shape
    is_known = weight.dtype == torch.float32 and weight.is_cpu
    if not is_known or weight.numel() <= SMALL:
        return None
    made = library()
    if made is None or outputs % made.sparrow_panel():
        return None
    panels = large_pages.keep(_panels(weight.detach()))  # [O / P, K, P]
    return Laid(numbers=panels, outputs=outputs, width=width, kind=Kind.FLOATS)


def matrix(
    codes: Tensor, scale: Tensor, zero: Tensor | None, *, bits: int = 16
) -> Laid | None:
    """Lay out a matrix of few bits.

    Args:
        codes: as in `AffineLinear`, like `scale` and `zero`.
        bits: of what the rows are rounded to, at most.

    Returns:
        None if the matrix is small, or of a kind that the C++ does not know, or there
        is no C++.
    """
    outputs, groups = scale.shape
    has_row_scales = codes.dtype == torch.int8
    width = codes.shape[1] * (1 if has_row_scales else 2)
    if outputs * width <= SMALL or outputs % TAKEN or width > WIDEST:
        return None
    if has_row_scales:
        is_known = groups == 1 and scale.dtype == torch.float32 and zero is None
        is_known &= width % STRIDE == 0
    else:
        is_known = scale.dtype == torch.bfloat16 and width // groups % STRIDE == 0
    made = library() if is_known and codes.is_cpu else None
    if made is None:
        return None
    kind, numbers = Kind.WORDS, codes
    most = 127 if bits <= 8 else WORD_MAX
    if made.sparrow_has_bytes() and outputs % made.sparrow_panel() == 0:
        kind, numbers = Kind.BYTES, _bytes(codes)
        most = min(most, TWO_BYTES_MAX)
        if not has_row_scales:
            scale = _panels(scale).contiguous()
            zero = None if zero is None else _panels(zero).contiguous()
    elif has_row_scales:  # it is summed in 32 bits
        most = min(most, INT32_MAX // (128 * width))
    return Laid(
        numbers=numbers,
        outputs=outputs,
        width=width,
        kind=kind,
        scale=scale,
        zero=zero,
        group=0 if has_row_scales else width // groups,
        most=most,
    )


def multiply(x: Tensor, by: Laid) -> Tensor:
    """Multiply rows by a matrix. Shapes: [N, K] -> [N, O], float32."""
    made = library()
    assert made is not None, "ask `library` first"
    x = x.float().contiguous()
    out = x.new_empty(len(x), by.outputs)
    threads = torch.get_num_threads()
    made.sparrow_product(by.matrix, x.data_ptr(), len(x), threads, out.data_ptr())
    return out


def _panels(rows: Tensor) -> Tensor:
    """Some outputs side by side. Shapes: [O, K] -> [O / P, K, P]."""
    made = library()
    assert made is not None, "ask `library` first"
    return rows.unflatten(0, (-1, made.sparrow_panel())).mT


def _bytes(codes: Tensor) -> Tensor:
    """Codes without a sign, four columns of each output side by side.

    Of four bits, a byte has one of these columns and one of the next four.

    Shapes:
        codes: as in `AffineLinear`; returns [O / P, K / 4 or K / 8, P, 4], uint8.
    """
    if codes.dtype == torch.int8:
        fours = (codes.short() + 128).to(torch.uint8).unflatten(1, (-1, 4))
    else:
        unsigned = (packing.unpack_int4(codes) + 8).to(torch.uint8)
        first, second = unsigned.unflatten(1, (-1, 2, 4)).unbind(2)
        fours = first | second << 4
    panels = _panels(fours.flatten(1).view(torch.int32))  # four bytes are one number
    return large_pages.keep(panels).view(torch.uint8)
