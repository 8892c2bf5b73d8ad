"""Where everything of a classroom lies, and who may reach it.

environment   everybody reads it: programs, the book, the labs to fetch
course        the instructor's own, 0700: solutions, gradebook, submissions, people
homes         one folder a person, 0700
state         root's own, 0700: the hub's log-ins, its certificate and key
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sparrow.runtime import atomic_write
from workshop.classroom.tables import Classroom

__all__ = ["Place", "private_write", "why"]


@dataclass(frozen=True)
class Place:
    """The paths that the settings of a classroom lead to."""

    classroom: Classroom

    @property
    def environment(self) -> Path:
        """The programs that the hub and every learner run."""
        return self.classroom.places.environment

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin/python"

    @property
    def shared(self) -> Path:
        """What is no program: the book, the labs, and Jupyter's settings of a hub."""
        return self.environment / "share/sparrow"

    @property
    def book(self) -> Path:
        """The pages of the book; there are none where it was not built."""
        return self.shared / "book"

    @property
    def labs(self) -> Path:
        """The notebooks that learners may fetch."""
        return self.shared / "labs"

    @property
    def window(self) -> Path:
        """The socket at which labs are handed in; the folder is the instructor's."""
        return self.shared / "exchange" / "window"

    @property
    def board_window(self) -> Path:
        """The socket at which checks tell how they went; the folder is as above."""
        return self.shared / "board" / "window"

    @property
    def board(self) -> Path:
        """What the board knows."""
        return self.private / "board.sqlite"

    @property
    def course(self) -> Path:
        """The course folder."""
        return self.classroom.places.course

    @property
    def private(self) -> Path:
        """What the course keeps about people, and its secret."""
        return self.course / ".workshop"

    @property
    def passcodes(self) -> Path:
        """The hashes of passcodes."""
        return self.private / "passcodes.json"

    @property
    def people(self) -> Path:
        """Who takes part."""
        return self.private / "roster.json"

    @property
    def cards(self) -> Path:
        """The page to print; delete it after printing."""
        return self.private / "cards.html"

    @property
    def state(self) -> Path:
        """The hub's own folder."""
        return self.classroom.places.state

    def home(self, account: str) -> Path:
        """A learner's folder."""
        return self.classroom.places.homes / account


def why(error: OSError) -> str:
    """The reason in a few words; copying a folder gathers one for each file."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        _source, _target, reason = error.args[0][0]
        return str(reason).partition("] ")[2].partition(": ")[0] or str(reason)
    return str(error.strerror or error)


@contextmanager
def private_write(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that only the owner of its folder can read, whole or not at all.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with atomic_write(path) as file:
        if sys.platform != "win32":
            os.fchmod(file.fileno(), 0o600)
            owner = path.parent.stat()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        yield file
