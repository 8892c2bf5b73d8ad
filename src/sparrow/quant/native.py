"""Let this machine's own compiler make the arithmetic on codes, where it has one.

PyTorch's kernels for few bits are made for processors with AVX-512: on others they are
many times slower than the memory. `cpp/` holds a few hundred lines of C++ in their
place. Their plain twins are those kernels.
"""

import ctypes
from ctypes import POINTER, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sparrow import native as compiler

__all__ = ["Matrix", "library", "matrix", "multiply"]

SOURCES = Path(__file__).with_name("cpp")
FLAG = "-fassociative-math"  # sums may be made in another order
# What the C++ asks of a matrix.
PANEL, LANES, STRIDE, WIDEST = 8, 16, 32, 8192
INT32_MAX = 2**31 - 1
SMALL = 2**16  # so many weights: PyTorch is quick enough, and nobody has to compile


class Matrix(ctypes.Structure):
    """A matrix of few bits, as the C++ knows it: see `cpp/products.h`."""

    _fields_ = (
        ("codes", c_void_p),
        ("scale", c_void_p),
        ("zero", c_void_p),
        ("outputs", c_int64),
        ("width", c_int64),
        ("group", c_int64),
        ("most", c_int64),
    )


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


def matrix(
    codes: Tensor, scale: Tensor, zero: Tensor | None, *, bits: int = 16
) -> Matrix | None:
    """What the C++ reads; the tensors must live as long.

    Args:
        codes: as in `AffineLinear`, like `scale` and `zero`.
        bits: of what the rows are rounded to, at most.

    Returns:
        None if the matrix is small, or of a kind that the C++ does not know, or there
        is no C++.
    """
    outputs, groups = scale.shape
    is_row = codes.dtype == torch.int8
    width = codes.shape[1] * (1 if is_row else 2)
    if outputs * width <= SMALL or outputs % PANEL or width > WIDEST:
        return None
    if is_row:  # one scale a row
        is_known = groups == 1 and scale.dtype == torch.float32 and zero is None
        is_known &= width % LANES == 0
    else:
        is_known = scale.dtype == torch.bfloat16 and width // groups % STRIDE == 0
    if not (is_known and codes.is_cpu) or library() is None:
        return None
    most = 2 ** (bits - 1) - 1
    if is_row:  # it is summed in 32 bits
        most = min(most, INT32_MAX // (128 * width))
    return Matrix(
        codes=codes.data_ptr(),
        scale=scale.data_ptr(),
        zero=None if zero is None else zero.data_ptr(),
        outputs=outputs,
        width=width,
        group=0 if is_row else width // groups,
        most=most,
    )


def multiply(x: Tensor, by: Matrix) -> Tensor:
    """Multiply rows by a matrix. Shapes: [N, K] -> [N, O], float32."""
    made = library()
    assert made is not None, "ask `library` first"
    x = x.float().contiguous()
    out = x.new_empty(len(x), by.outputs)
    made.sparrow_product(
        by, x.data_ptr(), len(x), torch.get_num_threads(), out.data_ptr()
    )
    return out
