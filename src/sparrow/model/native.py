"""Let this machine's own compiler make one step of many small ones, where it has one.

A step of a small model is hundreds of calls into PyTorch, most of which cost more than
what they compute, and each writes to memory what the next one reads. `cpp/` holds the
same step as some three hundred lines of C++. The plain twin is `JoinedStep`.
"""

import ctypes
from ctypes import POINTER, c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path

from sparrow import native as compiler

__all__ = ["Batch", "FeedForward", "Layer", "Matrix", "Sizes", "library"]

SOURCES = Path(__file__).with_name("cpp")


class Matrix(ctypes.Structure):
    """A matrix cut into panels: see `cpp/product.h`."""

    _fields_ = (("panels", c_void_p), ("outputs", c_int64), ("inputs", c_int64))


class FeedForward(ctypes.Structure):
    """A SwiGLU of two matrices."""

    _fields_ = (("gate_up", Matrix), ("down", Matrix))


class Layer(ctypes.Structure):
    """One layer: see `cpp/step.cpp`."""

    _fields_ = (
        ("joint", Matrix),
        ("out", Matrix),
        ("all", FeedForward),
        ("gate", Matrix),
        ("experts", POINTER(FeedForward)),
        ("latent_scale", c_void_p),
        ("bias", c_void_p),
        ("rows", c_void_p),
    )


class Sizes(ctypes.Structure):
    """What all layers share: see `cpp/step.cpp`."""

    _fields_ = (
        *(
            (name, c_int64)
            for name in (
                "layers",
                "width",
                "heads",
                "rank",
                "turned",
                "experts",
                "chosen",
            )
        ),
        *((name, c_float) for name in ("eps", "latent_eps", "times", "tiny")),
        ("has_unit_weights", c_int64),
    )


class Batch(ctypes.Structure):
    """Where new tokens stand: see `cpp/step.cpp`."""

    _fields_ = (
        *((name, c_int64) for name in ("texts", "pages", "block", "wants")),
        *(
            (name, c_void_p)
            for name in (
                "begins",
                "firsts",
                "columns",
                "positions",
                "tables",
                "tokens",
                "wanted",
                "embedding",
                "turn",
                "scale",
            )
        ),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled step; None where it cannot be had. It takes a few seconds once."""
    made = compiler.library(SOURCES)
    if made is not None:
        for each in (made.sparrow_step, made.sparrow_scores):
            each.restype = None
    return made
