"""Take what somebody hands in: looked at, kept whole, recorded, and only then thanked.

Who it is and when is said by whoever calls, who has asked the hub; nothing in the
files decides it.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from sparrow import runtime
from sparrow.errors import StorageError
from sparrow.language import _
from workshop.classroom.tables import Classroom
from workshop.exchange.record import Line, Record
from workshop.grading.course import Course
from workshop.grading.submission import RefusedError, examine

__all__ = ["TIMESTAMP", "Desk", "Receipt", "look_at", "write_folder"]

NAME = re.compile(r"[\w][\w.@-]{0,99}")
MOST_FILES = 20
TIMESTAMP = "timestamp.txt"  # where nbgrader looks for the time


@dataclass(frozen=True)
class Receipt:
    """What a learner gets for what they handed in.

    `hash` is that of the line in the record: whoever holds it can prove the whole
    record up to here.
    """

    number: int
    learner: str
    lab: str
    at: str
    late_s: int
    files: Mapping[str, str]  # name -> SHA-256
    hash: str

    @classmethod
    def of(cls, line: Line) -> "Receipt":
        """The receipt for a line of the record."""
        return cls(number=line.number, at=line.at, hash=line.hash, **line.told)


class Desk:
    """Where a course takes submissions.

    Args:
        course: the course folder.
        classroom: deadlines and how late is too late.
    """

    def __init__(self, course: Course, classroom: Classroom) -> None:
        self.course, self.classroom = course, classroom
        private = course.root / ".workshop"
        self.record = Record(private / "record" / "submissions.jsonl")
        self.kept = private / "handed_in"

    def take(
        self, learner: str, lab: str, files: Mapping[str, bytes], now: datetime
    ) -> Receipt:
        """Keep a submission for good.

        Args:
            learner: the account, as the hub knows it.
            lab: which lab.
            files: the notebook and what the lab left beside it, by plain names.
            now: when it came, with its offset from UTC.

        Raises:
            RefusedError: it is too late, too large, of another lab, or no notebook.
            StorageError: the disk is full. Nothing was taken then.
        """
        self.course.reference_path(lab)
        late_s = self._late_s(lab, now)
        look_at(learner, files)
        place = self.kept / lab / learner
        runtime.writable_folder(place)
        coming = place / f".coming-{secrets.token_hex(8)}" / lab
        try:
            self._write(coming, files)
            # `examine` reads the learner's name in the folder above.
            named = coming.parent / learner
            named.mkdir()
            coming.rename(named / lab)
            examine(named / lab, lab)
            names = {name: hashlib.sha256(x).hexdigest() for name, x in files.items()}
            told = {"learner": learner, "lab": lab, "late_s": late_s, "files": names}
            # First the files, then the line that says they are here.
            final = place / _folder_of(names, now)
            if final.exists():
                shutil.rmtree(final)
            (named / lab).rename(final)
            for changed in (place, place.parent, self.kept):
                runtime.sync_folder(changed)
            return Receipt.of(self.record.append(told, now))
        finally:
            shutil.rmtree(coming.parent, ignore_errors=True)

    def clear_up(self) -> None:
        """Remove what a power cut left half written; nobody was thanked for it."""
        for half in self.kept.glob("*/*/.coming-*"):
            shutil.rmtree(half, ignore_errors=True)

    def receipts(self, learner: str | None = None) -> list[Receipt]:
        """All receipts, or those of one learner; oldest first."""
        found = [Receipt.of(line) for line in self.record.lines()]
        return [each for each in found if learner in (None, each.learner)]

    def collect(self, lab: str, learners: str = "*") -> list[Receipt]:
        """Put everybody's latest submission where grading reads it.

        Args:
            lab: which lab.
            learners: an account, or a pattern such as `*`.

        Returns:
            The receipts of what lies there now.

        Raises:
            CourseError: there is no such lab.
            StorageError: what was acknowledged is gone, or was changed; or the disk is
                full, and what was collected before is still there.
        """
        self.course.reference_path(lab)
        latest = {
            each.learner: each
            for each in self.receipts()
            if each.lab == lab and fnmatchcase(each.learner, learners)
        }
        for learner, receipt in latest.items():
            at = datetime.fromisoformat(receipt.at)
            source = self.kept / lab / learner / _folder_of(receipt.files, at)
            files = self._checked(source, receipt)
            time = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.000000 UTC")
            files[TIMESTAMP] = time.encode()
            write_folder(self.course.root / "submitted" / learner / lab, files)
        return list(latest.values())

    def _checked(self, source: Path, receipt: Receipt) -> dict[str, bytes]:
        """What was handed in, if what is there still is that."""
        found = {}
        for name, wanted in receipt.files.items():
            try:
                found[name] = (source / name).read_bytes()
            except OSError:
                found[name] = b""
            if hashlib.sha256(found[name]).hexdigest() != wanted:
                raise StorageError(
                    _(
                        "{name} in submission {number} of {learner} is gone or was "
                        "changed: bring {folder} back from a copy.",
                        name=name,
                        number=receipt.number,
                        learner=receipt.learner,
                        folder=source,
                    )
                )
        return found

    def _write(self, folder: Path, files: Mapping[str, bytes]) -> None:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise runtime.not_written(folder, error) from error
        for name, content in files.items():
            with runtime.atomic_write(folder / name) as file:
                file.write(content)

    def _late_s(self, lab: str, now: datetime) -> int:
        """Seconds after the deadline and its grace; 0: in time.

        Raises:
            RefusedError: it is too late.
        """
        due = self.classroom.deadlines.get(lab)
        if due is None:
            return 0
        rules = self.classroom.late
        late = now - due - timedelta(minutes=rules.grace_minutes)
        most = rules.refused_after_days
        if most and late > timedelta(days=most):
            raise RefusedError(
                _(
                    "Lab {lab} was due at {due}, and no more is taken {days} days "
                    "later: ask your instructor.",
                    lab=lab,
                    due=due.isoformat(sep=" ", timespec="minutes"),
                    days=most,
                )
            )
        return max(0, round(late.total_seconds()))


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside its place, and put it there once it is whole.

    Raises:
        StorageError: the disk is full; what stood there still does.
    """
    runtime.writable_folder(folder.parent)
    coming = folder.with_name(f".{folder.name}.coming")
    shutil.rmtree(coming, ignore_errors=True)
    try:
        for name, content in files.items():
            with runtime.atomic_write(coming / name) as file:
                file.write(content)
        shutil.rmtree(folder, ignore_errors=True)
        coming.rename(folder)
    finally:
        shutil.rmtree(coming, ignore_errors=True)


def _folder_of(names: Mapping[str, str], at: datetime) -> str:
    """The same files at the same second are the same submission."""
    told = f"{at.isoformat(timespec='seconds')} {sorted(names.items())}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def look_at(learner: str, files: Mapping[str, bytes]) -> None:
    """Plain names only, and not too many.

    Raises:
        RefusedError: a name leads elsewhere.
    """
    if not files or len(files) > MOST_FILES:
        raise RefusedError(
            _(
                "{n} files came; from 1 to {most} are taken.",
                n=len(files),
                most=MOST_FILES,
            )
        )
    for name in (learner, *files):
        if not NAME.fullmatch(name):
            raise RefusedError(
                _(
                    "{name} is no plain name: letters, digits and . _ @ - only.",
                    name=repr(name),
                )
            )
