"""The machine we run on: device, precision, tier, folders, and writes that last.

This is the only module that reads the environment:

    SPARROW_CACHE      where fetched weights are kept (default: the user's cache)
    SPARROW_DEVICE     cpu, cuda or mps (default: the best that is there)
    SPARROW_LANGUAGE   the language of every sentence (default: en)
    SPARROW_HOME       the learner's own folder (default: ~/sparrow)
    SPARROW_COURSE     where submissions go without a hub (default: the checkout)
    SPARROW_EXCHANGE   the socket at which a classroom takes submissions (default: none)
    SPARROW_BOARD      the socket of the instructor's board (default: none)

what `torchrun` tells the processes that it starts: RANK, WORLD_SIZE, LOCAL_RANK.
`sparrow cost add` has two of its own: SPARROW_CURRENCY and SPARROW_TARIFF_PER_KWH.
"""

import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

import psutil

from sparrow import language
from sparrow.errors import ConfigError, StorageError
from sparrow.language import _

if TYPE_CHECKING:  # torch takes a second to import, and many commands do without
    import torch

__all__ = [
    "Machine",
    "Place",
    "atomic_write",
    "board_window",
    "cache_folder",
    "compute_dtype",
    "course_folder",
    "device",
    "environment_with",
    "fast_matmul",
    "generator",
    "home_folder",
    "machine",
    "not_written",
    "notebook_in_session",
    "place_in_team",
    "processor",
    "sync_folder",
    "use_language",
    "writable_folder",
]

GIB = 1024**3


def device() -> "torch.device":
    """The device to compute on: CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: `SPARROW_DEVICE` names a device that this machine has not.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    wanted = os.environ.get("SPARROW_DEVICE", "")
    if wanted and wanted not in there:
        raise ConfigError(
            _(
                "SPARROW_DEVICE is {wanted}, but this machine has {there}: "
                "unset it or choose one of these.",
                wanted=wanted,
                there=", ".join(there),
            )
        )
    return torch.device(wanted or there[0])


def compute_dtype(where: "torch.device") -> "torch.dtype":
    """The precision to compute in: fp32 on CPU, bf16 on cards that have it, else fp16.

    A T4 or V100 has no bf16 arithmetic of its own, so it gets fp16.
    """
    import torch

    if where.type != "cuda":
        return torch.float32
    major, _minor = torch.cuda.get_device_capability(where)
    return torch.bfloat16 if major >= 8 else torch.float16


@contextmanager
def fast_matmul(library: str | None = None) -> Iterator[str]:
    """Inside this block, large float32 products on the CPU use the faster library.

    PyTorch multiplies float32 matrices with MKL, which leaves AVX-512 unused on AMD
    processors; oneDNN uses it. Both are tried for a moment the first time: oneDNN is
    taken if it is faster here, and as exact as float32 can be. Training gains by it;
    writing token by token has matrices too small to gain.

    Args:
        library: take this one without trying: the last bits of a product differ
            between the two, so a run that goes on must stay with its own.

    Yields:
        `"onednn"` or `"mkl"`, which is PyTorch's default.
    """
    import torch

    setting = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = setting.fp32_precision
    library = library or _faster_matmul()
    try:
        # The switch is called "bf16" since it *allows* rounding to bfloat16.
        # Processors with AMX do round, and were refused; others keep float32.
        setting.fp32_precision = "bf16" if library == "onednn" else "ieee"
        yield library
    finally:
        setting.fp32_precision = before


@cache
def _faster_matmul() -> str:
    """The library that multiplies faster here without losing precision."""
    import torch

    setting = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = setting.fp32_precision
    draw = generator(0)
    a, b = (torch.randn(512, 512, generator=draw) for _side in range(2))
    exact = a.double() @ b.double()

    def try_out(precision: str) -> tuple[float, float]:
        """The least seconds of a product, and its largest error."""
        setting.fp32_precision = precision
        times_s = []
        for _trial in range(8):
            started = time.perf_counter()
            product = a @ b
            times_s.append(time.perf_counter() - started)
        return min(times_s), float((product.double() - exact).abs().max())

    try:
        mkl_s, mkl_error = try_out("ieee")
        onednn_s, onednn_error = try_out("bf16")
    finally:
        setting.fp32_precision = before
    # Clearly faster: where both are alike, runs should not differ in their last bits.
    is_better = onednn_s < 0.75 * mkl_s and onednn_error < 4 * mkl_error
    return "onednn" if is_better else "mkl"


def generator(seed: int, where: "torch.device | str" = "cpu") -> "torch.Generator":
    """A random generator of its own, seeded: randomness is always an argument."""
    import torch

    return torch.Generator(device=where).manual_seed(seed)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this machine offers; sizes in GiB."""

    device: str
    device_name: str
    dtype: str
    tier: str  # "cpu" or "gpu"
    cores: int
    memory_gib: float
    device_memory_gib: float
    python: str
    torch: str


def machine() -> Machine:
    """Describe this machine."""
    import torch

    where = device()
    is_cuda = where.type == "cuda"
    properties = torch.cuda.get_device_properties(where) if is_cuda else None
    memory_gib = psutil.virtual_memory().total / GIB
    return Machine(
        device=where.type,
        device_name=properties.name if properties else where.type.upper(),
        dtype=str(compute_dtype(where)).removeprefix("torch."),
        tier="gpu" if is_cuda else "cpu",
        cores=len(os.sched_getaffinity(0))
        if sys.platform == "linux"
        else os.cpu_count() or 1,
        memory_gib=memory_gib,
        device_memory_gib=properties.total_memory / GIB if properties else memory_gib,
        python=".".join(map(str, sys.version_info[:3])),
        torch=torch.__version__,
    )


@dataclass(frozen=True)
class Place:
    """Which of several processes this one is; `local_rank` counts on this machine."""

    rank: int
    size: int
    local_rank: int


def place_in_team() -> Place | None:
    """Where `torchrun` put this process; None if it was not started by it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if not all(name in os.environ for name in names):
        return None
    return Place(*(int(os.environ[name]) for name in names))


def processor() -> str:
    """The processor's name; Linux keeps it in a file."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text("utf-8").splitlines()
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        told = {key.strip(): value.strip() for key, value in told.items()}
        family = f"family {told.get('cpu family', '?')}, model {told.get('model', '?')}"
        return f"{told.get('model name', platform.machine())} ({family})"
    return platform.processor() or platform.machine()


def use_language() -> None:
    """Speak the language that the environment asks for."""
    language.use(os.environ.get("SPARROW_LANGUAGE", "en"))


def environment_with(**changes: str) -> dict[str, str]:
    """The environment of this process with some changes, for a child process."""
    return {**os.environ, **changes}


def cache_folder() -> Path:
    """Where fetched weights are kept: shared by all labs of one user."""
    if configured := os.environ.get("SPARROW_CACHE"):
        return Path(configured).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "sparrow"


def course_folder() -> Path:
    """Where submissions go when there is no hub: the checkout, or a folder at home."""
    if configured := os.environ.get("SPARROW_COURSE"):
        return Path(configured).expanduser()
    checkout = Path(__file__).parents[2]
    if (checkout / "nbgrader_config.py").exists():
        return checkout
    return home_folder() / "course"


def exchange_window() -> Path | None:
    """Where a classroom takes submissions; None: there is no hub."""
    told = os.environ.get("SPARROW_EXCHANGE")
    return Path(told) if told else None


def board_window() -> Path | None:
    """Where the instructor's board hears how checks went; None: there is no board."""
    told = os.environ.get("SPARROW_BOARD")
    return Path(told) if told else None


def notebook_in_session() -> Path | None:
    """The notebook that this kernel belongs to, where Jupyter says it."""
    told = os.environ.get("JPY_SESSION_NAME")
    return Path(told) if told else None


def home_folder() -> Path:
    """The learner's own folder: submissions, `my_sparrow.py`, trained models."""
    return Path(os.environ.get("SPARROW_HOME", Path.home() / "sparrow")).expanduser()


def writable_folder(folder: Path) -> Path:
    """Make `folder` and prove that it can be written.

    Raises:
        StorageError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            _(
                "The folder {folder} cannot be written ({reason}): choose another "
                "folder or mend its permissions.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error
    return folder


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is either whole or not there: temporary, fsync, rename.

    Raises:
        StorageError: the disk is full or the folder cannot be written. The old file,
            if there was one, is untouched.
    """
    writable_folder(path.parent)
    # made by `open`, so that others may read it if the user's umask says so
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def not_written(path: Path, error: OSError) -> StorageError:
    """What to say when a file could not be written, and the old one still stands."""
    return StorageError(
        _(
            "{path} could not be written ({reason}): free some space or choose "
            "another folder; nothing was changed.",
            path=path,
            reason=error.strerror or error,
        )
    )


def sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut (Windows has no such call)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
