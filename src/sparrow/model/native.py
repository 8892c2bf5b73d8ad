"""Let this machine's own compiler make one step of many small ones, where it has one.

A step of a small model is hundreds of calls into PyTorch, most of which cost more than
what they compute, and each writes to memory what the next one reads. `cpp/` holds the
same step as some three hundred lines of C++. They are compiled once, for the processor
that is here, and kept in the cache folder. Nothing depends on them: the plain twin is
`JoinedStep`, and without a compiler it does the work.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from ctypes import POINTER, c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sparrow import runtime
from sparrow.errors import StorageError

__all__ = ["Batch", "FeedForward", "Layer", "Matrix", "Sizes", "library"]

SOURCES = Path(__file__).with_name("cpp")
COMPILER = "g++"
# As exact as float32 is, and nothing is NaN. OpenMP is left open, so that it is
# PyTorch's own: two of them would wait for each other's threads.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fopenmp",
    "-fPIC",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-ffinite-math-only",
]
COMPILE_S = 120
FOLDER = "native"  # in the cache
OWNERS = (0,)  # beside oneself, who may have made it: the administrator


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
        *((name, c_int64) for name in ("texts", "pages", "block")),
        *(
            (name, c_void_p)
            for name in ("begins", "firsts", "columns", "tables", "turn")
        ),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled step; None where it cannot be had. It takes a few seconds once."""
    if not _has_compiler():
        return None
    try:
        made = ctypes.CDLL(str(_compiled()))
    except (OSError, StorageError, subprocess.SubprocessError):
        return None
    made.sparrow_step.restype = None
    return made


def _has_compiler() -> bool:
    """Whether this is a machine of the kind on which it was proven."""
    return (
        sys.platform == "linux"
        and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        and shutil.which(COMPILER) is not None
    )


def _place() -> Path:
    """Where it is kept: another processor or another source, another file."""
    sources = sorted(SOURCES.iterdir())
    told = [runtime.processor(), *FLAGS, *(each.read_text("utf-8") for each in sources)]
    name = hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]
    return runtime.cache_folder() / FOLDER / f"{name}.so"


def _is_mine(made: Path) -> bool:
    """What others could have written is not run."""
    return made.exists() and made.stat().st_uid in (*OWNERS, os.getuid())


def _compiled() -> Path:
    kept = _place()
    if _is_mine(kept):
        return kept
    runtime.writable_folder(kept.parent)  # nothing is compiled that cannot be kept
    with TemporaryDirectory() as folder:
        step, made = Path(folder, "step.o"), Path(folder, kept.name)
        source = str(SOURCES / "step.cpp")
        for command in (
            [COMPILER, *FLAGS, "-c", source, "-o", str(step)],
            [COMPILER, "-shared", str(step), "-o", str(made)],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_S)
        with runtime.atomic_write(kept) as file:
            file.write(made.read_bytes())
    return kept
