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
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sparrow import runtime
from sparrow.errors import StorageError

__all__ = ["library"]

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
OWNERS = (0,)  # beside oneself, who may have made it: the administrator


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
    return runtime.cache_folder() / "native" / f"{name}.so"


def _is_mine(made: Path) -> bool:
    """What others could have written is not run."""
    return made.exists() and made.stat().st_uid in (*OWNERS, os.getuid())


def _compiled() -> Path:
    kept = _place()
    if _is_mine(kept):
        return kept
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
