"""Is the machine enough: Python, memory, disk, graphics card, PyTorch?"""

import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from sparrow.language import _
from workshop.doctor.finding import Finding, Level

__all__ = ["card", "disk", "memory", "python", "pytorch"]

GIB = 1024**3
MEMORY_GIB = 4  # what the labs' CPU tier is made for
DISK_GIB = 5  # a wheelhouse, checkpoints of every lab, some room
QUERY = "--query-gpu=name,memory.total,driver_version"


def python(version: tuple[int, int, int]) -> Finding:
    """The interpreter, which must be 3.11 or newer."""
    found = ".".join(map(str, version))
    is_enough = version >= (3, 11)
    return Finding(
        topic="python",
        level="ok" if is_enough else "error",
        found=found,
        fix="" if is_enough else _("Install Python 3.11 or newer, then: make start"),
    )


def memory() -> Finding:
    """The memory of the machine."""
    state = psutil.virtual_memory()
    total, free = state.total / GIB, state.available / GIB
    level: Level = "ok"
    if total < MEMORY_GIB * 0.9:  # firmware keeps a part of what is sold as 4
        level = "error" if total < MEMORY_GIB / 2 else "warning"
    return Finding(
        topic="memory",
        level=level,
        found=_(
            "{total:.1f} GiB, {free:.1f} free; {cores} processor cores",
            total=total,
            free=free,
            cores=psutil.cpu_count(),
        ),
        fix=""
        if level == "ok"
        else _("The labs are made for {n} GiB: close other programs.", n=MEMORY_GIB),
    )


def disk(folder: Path) -> Finding:
    """The room on the disk that holds the project."""
    free = shutil.disk_usage(folder).free / GIB
    level: Level = "ok"
    if free < DISK_GIB:
        level = "error" if free < 1 else "warning"
    return Finding(
        topic="disk",
        level=level,
        found=_("{free:.0f} GiB free", free=free)
        if free >= 10
        else _("{free:.1f} GiB free", free=free),
        fix=""
        if level == "ok"
        else _("Free some space: the labs need {n} GiB.", n=DISK_GIB),
    )


def pytorch() -> Finding:
    """Which build of PyTorch there is, and that it starts."""
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(
            topic="pytorch",
            level="error",
            found=_("does not start: {reason}", reason=reason),
            fix=_("Remove the folder .venv, then: make start"),
        )
    cuda = torch.version.cuda
    build = f"CUDA {cuda}" if cuda else _("CPU build")
    version = torch.__version__.split("+")[0]
    return Finding(topic="pytorch", level="ok", found=f"{version}, {build}")


def nvidia() -> tuple[str, ...] | None:
    """Name, memory and driver of the first card; () if the driver fails, else None."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, QUERY, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    first = done.stdout.strip().splitlines()[:1]
    return tuple(part.strip() for part in first[0].split(",")) if first else ()


def card() -> Finding:
    """The graphics card, and whether PyTorch can use it."""
    topic = "card"
    there = nvidia()
    if there is None:
        return _card_of_apple(topic)
    if not there:
        return Finding(
            topic=topic,
            level="warning",
            found=_("nvidia-smi is installed, but its driver does not answer"),
            fix=_("Restart the machine, or install NVIDIA's driver again."),
        )
    import torch

    found = _("{name}, {memory}, driver {driver}", **_named(there))
    if torch.version.cuda is None:
        fix = _("PyTorch's CPU build leaves it idle; run: TORCH=cuda make start")
        return Finding(topic=topic, level="warning", found=found, fix=fix)
    if not torch.cuda.is_available():
        fix = _(
            "Its driver is too old for PyTorch's CUDA {cuda}: update the driver.",
            cuda=torch.version.cuda,
        )
        return Finding(topic=topic, level="warning", found=found, fix=fix)
    has_bf16 = torch.cuda.get_device_capability()[0] >= 8
    precision = "bf16" if has_bf16 else _("no bf16, so fp16")
    return Finding(topic=topic, level="ok", found=f"{found}, {precision}")


def _named(there: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("name", "memory", "driver"), there, strict=False))


def _card_of_apple(topic: str) -> Finding:
    if sys.platform == "darwin":
        import torch

        if torch.backends.mps.is_available():
            return Finding(topic=topic, level="ok", found=_("Apple, by MPS"))
    return Finding(topic=topic, level="info", found=_("none: the labs use the CPU"))
