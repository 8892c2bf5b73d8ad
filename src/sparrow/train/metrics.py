"""What training tells as it goes: one line of JSON a step, with names and units."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Self, TypeVar

from sparrow.errors import StorageError
from sparrow.language import _
from sparrow.runtime import atomic_write

__all__ = ["HeldOut", "Line", "Metrics", "Step", "read", "read_kind"]

FILE = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the file; `kind` says which."""

    kind: ClassVar[str]

    step: int  # how many steps are done


@dataclass(frozen=True, kw_only=True)
class Step(Line):
    """One step of training. Losses are in nats a token, before their weights."""

    kind: ClassVar[str] = "step"

    tokens: int  # read so far
    loss: float  # of the next token
    mtp_loss: float
    balance_loss: float
    max_violations: tuple[float, ...]  # MaxVio of each layer with experts
    gradient_norm: float  # before clipping
    learning_rate: float
    seconds: float  # of training so far; pauses do not count
    tokens_per_s: float
    flops_frac: float  # share of this machine's measured matrix-product rate

    @property
    def max_violation(self) -> float:
        """The mean over layers; 0 without experts."""
        violations = self.max_violations
        return sum(violations) / len(violations) if violations else 0.0


@dataclass(frozen=True, kw_only=True)
class HeldOut(Line):
    """One look at text that training never reads."""

    kind: ClassVar[str] = "held_out"

    part: str  # of the corpus
    bits_per_byte: float
    text_bytes: int


Told = TypeVar("Told", bound=Line)


class Metrics:
    """The file `metrics.jsonl` of a run; on resume, lines after the checkpoint go.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, folder: Path, steps_done: int) -> None:
        self._path = folder / FILE
        kept = [
            line
            for line in _lines(self._path)
            if json.loads(line)["step"] <= steps_done
        ]
        with atomic_write(self._path) as file:
            file.writelines(line.encode() + b"\n" for line in kept)
        self._file: IO[str] = self._path.open("a", encoding="utf-8")

    def write(self, told: Line) -> None:
        """Add a line."""
        try:
            self._file.write(json.dumps({"kind": told.kind} | asdict(told)) + "\n")
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def sync(self) -> None:
        """Make every line survive a power cut."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()


def read(folder: Path) -> tuple[list[Step], list[HeldOut]]:
    """All that a run of pretraining has told so far, oldest first."""
    return read_kind(folder, Step), read_kind(folder, HeldOut)


def read_kind(folder: Path, kind: type[Told]) -> list[Told]:
    """All lines of one kind that a run has told so far, oldest first."""
    found = []
    for line in _lines(folder / FILE):
        told = json.loads(line)
        if told.pop("kind") == kind.kind:
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in told.items()
            }
            found.append(kind(**values))
    return found


def _lines(path: Path) -> Iterator[str]:
    """Whole lines only: a power cut may leave half of the last one."""
    if not path.exists():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            json.loads(line)
        except ValueError:
            return
        yield line


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        _(
            "{path} could not be written ({reason}): free some space or choose another "
            "folder; the last checkpoint is whole.",
            path=path,
            reason=error.strerror or error,
        )
    )
