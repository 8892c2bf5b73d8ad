"""A real disk that is soon full, for tests: a few KiB and files of memory, mounted."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

FILLER = "filler"


@contextlib.contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """Mount it; only root may."""
    folder.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,nr_inodes=1k,mode=0755", "none"]
    subprocess.run([*line, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, but_kib: int = 0) -> Path:
    """Leave only so much space; the file to delete for more."""
    path = folder / FILLER
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    if but_kib:
        with path.open("rb+") as file:
            file.truncate(max(0, path.stat().st_size - but_kib * 1024))
    return path
