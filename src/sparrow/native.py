"""Let this machine's own compiler make what many small calls would be slow at.

A few hundred lines of C++ are compiled once, for the processor that is here, and kept
in the cache folder. Nothing depends on them: each has a plain twin in PyTorch, which
does the work where there is no compiler.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sparrow import runtime
from sparrow.errors import StorageError

__all__ = ["FOLDER", "has_compiler", "library"]

COMPILER = "g++"
PROVEN = ("AVX2", "AVX512")
# As exact as float32 is, and nothing is NaN. OpenMP is left open, so that it is
# PyTorch's own: two of them would wait for each other's threads.
FLAGS = (
    *("-std=c++20", "-O3", "-march=native", "-fopenmp", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    "-ffinite-math-only",
)
COMPILE_S = 120
FOLDER = "native"  # in the cache
SHARED = Path(__file__).with_name("cpp")  # what all sources may include
OWNERS = (0,)  # beside oneself, who may have made it: the administrator


def library(sources: Path, *more_flags: str) -> ctypes.CDLL | None:
    """What `step.cpp` of a folder compiles to; it takes a few seconds once.

    Args:
        sources: the folder.
        more_flags: for the compiler.

    Returns:
        None where it cannot be had.
    """
    if not has_compiler():
        return None
    try:
        return ctypes.CDLL(str(_compiled(sources, (*FLAGS, *more_flags))))
    except (OSError, StorageError, subprocess.SubprocessError):
        return None


def has_compiler() -> bool:
    """Whether this is a machine of the kind on which it was proven."""
    return (
        sys.platform == "linux"
        and torch.backends.cpu.get_cpu_capability() in PROVEN
        and shutil.which(COMPILER) is not None
    )


def _place(sources: Path, flags: Sequence[str]) -> Path:
    """Where it is kept: another processor or another source, another file."""
    files = (*sorted(SHARED.iterdir()), *sorted(sources.iterdir()))
    texts = (each.read_text("utf-8") for each in files)
    told = "\0".join([runtime.processor(), *flags, *texts])
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    return runtime.cache_folder() / FOLDER / f"{name}.so"


def _is_mine(made: Path) -> bool:
    """What others could have written is not run."""
    return made.exists() and made.stat().st_uid in (*OWNERS, os.getuid())


def _compiled(sources: Path, flags: Sequence[str]) -> Path:
    kept = _place(sources, flags)
    if _is_mine(kept):
        return kept
    runtime.writable_folder(kept.parent)  # nothing is compiled that cannot be kept
    with TemporaryDirectory() as folder:
        step, made = Path(folder, "step.o"), Path(folder, kept.name)
        source = str(sources / "step.cpp")
        for command in (
            [COMPILER, *flags, f"-I{SHARED}", "-c", source, "-o", str(step)],
            [COMPILER, "-shared", str(step), "-o", str(made)],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_S)
        with runtime.atomic_write(kept) as file:
            file.write(made.read_bytes())
    return kept
