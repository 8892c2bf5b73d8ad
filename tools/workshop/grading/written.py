"""Remember whose marks are in the gradebook, so that they are not written again.

nbgrader asks a person to look again at every mark that it writes twice. So somebody who
hands in late, or a power cut, must not send thirty answers back to their reader.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparrow import runtime
from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.grading.kept import Kept

__all__ = ["BusyError", "Written", "alone"]


class BusyError(SparrowError):
    """Another grading is at work on the same course."""


class Written:
    """One small file for each learner, made after the gradebook has their marks."""

    def __init__(self, kept: Kept) -> None:
        self._folder = kept.folder / "written"
        self._about = kept.about

    def has(self, learner: str, folder: Path) -> bool:
        """Are the marks of just this submission in the gradebook?"""
        try:
            return self._path(learner).read_text("ascii") == self._digest(folder)
        except (OSError, ValueError):
            return False

    def add(self, learner: str, folder: Path) -> None:
        """Say so, once they are."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with runtime.atomic_write(self._path(learner)) as file:
            file.write(self._digest(folder).encode())

    def forget(self) -> None:
        """Know nothing of anybody."""
        for path in self._folder.glob("*.sha256"):
            path.unlink()

    def _path(self, learner: str) -> Path:
        return self._folder / f"{learner}.sha256"

    def _digest(self, folder: Path) -> str:
        key = hashlib.sha256(self._about)
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            key.update(f"{str(path.relative_to(folder))!r} {digest}\n".encode())
        return key.hexdigest()


@contextmanager
def alone(course: Path) -> Iterator[None]:
    """Let nobody else grade in this course: one process writes the gradebook.

    The kernel gives the lock back when a process ends, however it ends.

    Raises:
        BusyError: somebody else does.
    """
    place = course / ".workshop"
    place.mkdir(mode=0o700, exist_ok=True)
    with open(place / "grading.lock", "w", opener=_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                _(
                    "Another `workshop grade` works on {folder}: wait until it has "
                    "ended.",
                    folder=course,
                )
            ) from error
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
