"""A record that only grows: each line carries the hash of the line before it.

Whoever changes, removes or adds a line in the middle breaks every line after it, and
`check` names the first one. A power cut can only leave the last line half written: it
is set aside, since nobody was told that it was taken.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sparrow import runtime
from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["FIRST", "Line", "Record", "RecordError"]

FIRST = "0" * 64  # what stands before the first line
TORN = ".torn"


class RecordError(SparrowError):
    """A record that is not what was once written."""


@dataclass(frozen=True)
class Line:
    """One entry.

    Args:
        number: from 1 on, without a gap; it decides what came first.
        at: when, by the clock of this machine, with its offset.
        before: the hash of the line before.
        told: what is recorded.
        clock_went_back_s: by how much `at` is earlier than the latest line before;
            a clock may jump, and the order stays.
    """

    number: int
    at: str
    before: str
    told: Mapping[str, Any]
    clock_went_back_s: float = 0.0

    def body(self) -> dict[str, Any]:
        """All but the hash."""
        found = {
            "number": self.number,
            "at": self.at,
            "before": self.before,
            "told": dict(self.told),
        }
        if self.clock_went_back_s:
            found["clock_went_back_s"] = self.clock_went_back_s
        return found

    @property
    def hash(self) -> str:
        """SHA-256 of everything in the line."""
        return hashlib.sha256(_bytes(self.body())).hexdigest()

    def encode(self) -> bytes:
        """The line as it stands in the file."""
        return _bytes({**self.body(), "hash": self.hash}) + b"\n"


def _bytes(told: Mapping[str, Any]) -> bytes:
    """One way to write it: two machines get the same hash."""
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


class Record:
    """The file, for one writer at a time and any number of processes.

    Args:
        path: made when first needed, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """Every line, checked from the first to the last.

        Raises:
            RecordError: a line was changed, removed or added; the sentence names it.
        """
        whole, _torn = self._read()
        found: list[Line] = []
        before = FIRST
        for place, text in enumerate(whole, start=1):
            line = _parse(text)
            is_right = line is not None and (line.number, line.before) == (
                place,
                before,
            )
            if line is None or not is_right:
                raise RecordError(
                    _(
                        "Line {number} of {path} is not what was written: what follows "
                        "it cannot be trusted. Compare with a copy.",
                        number=place,
                        path=self.path,
                    )
                )
            found.append(line)
            before = line.hash
        return found

    def append(self, told: Mapping[str, Any], now: datetime) -> Line:
        """Write one more line; it is on the disk when this returns.

        Args:
            told: what to record; JSON.
            now: the time, with its offset from UTC.

        Raises:
            RecordError: the record was changed by somebody.
            StorageError: the disk is full; nothing was written.
        """
        runtime.writable_folder(self.path.parent)
        with self._alone():
            self._set_torn_aside()
            found = self.lines()
            latest = max((datetime.fromisoformat(x.at) for x in found), default=now)
            line = Line(
                number=len(found) + 1,
                at=now.isoformat(timespec="seconds"),
                before=found[-1].hash if found else FIRST,
                told=told,
                clock_went_back_s=max(0.0, round((latest - now).total_seconds())),
            )
            self._write(line.encode())
        return line

    def _write(self, text: bytes) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            try:
                left = memoryview(text)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, size)  # nobody is told of half a line
                raise runtime.not_written(self.path, error) from error
        finally:
            os.close(descriptor)
        if not size:
            runtime.sync_folder(self.path.parent)

    def _read(self) -> tuple[list[bytes], bytes]:
        """Whole lines, and what a power cut left behind the last one."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return [], b""
        *whole, torn = text.split(b"\n")
        if whole and not torn and _parse(whole[-1]) is None:
            return whole[:-1], whole[-1] + b"\n"
        return whole, torn

    def _set_torn_aside(self) -> None:
        """Keep half a line beside the record, and go on without it."""
        whole, torn = self._read()
        if torn:
            aside = self.path.with_name(self.path.name + TORN)
            with runtime.atomic_write(aside) as file:
                file.write(torn)
            with self.path.open("rb+") as file:
                file.truncate(sum(len(each) + 1 for each in whole))
                os.fsync(file.fileno())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer, of all processes."""
        lock = self.path.with_name(self.path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _parse(text: bytes) -> Line | None:
    """A line, if it is one and its hash is right."""
    try:
        told = json.loads(text)
        said = told.pop("hash")
        line = Line(**told)
        is_right = line.hash == said and isinstance(line.number, int)
        return line if is_right else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
