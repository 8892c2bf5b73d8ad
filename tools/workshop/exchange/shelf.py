"""What learners may take: labs that are released, and feedback that is theirs.

Both are copies, made at the moment of release. What the instructor writes afterwards
reaches nobody before it is released too.
"""

import hashlib
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from sparrow.language import _
from workshop.classroom.place import Place
from workshop.classroom.tables import Classroom
from workshop.exchange.desk import TIMESTAMP, look_at, write_folder
from workshop.grading.course import Course
from workshop.grading.submission import RefusedError

__all__ = ["Shelf"]


class Shelf:
    """What a course has released.

    Args:
        course: the course folder.
        classroom: whether every lab is there from the start.
    """

    def __init__(self, course: Course, classroom: Classroom) -> None:
        self.course = course
        self.code = classroom.course.code
        self.all_labs = classroom.course.labs == "all"
        self._everything = Place(classroom).labs
        if not self._everything.is_dir():  # no hub was installed
            self._everything = course.root / "labs"
        self._released = course.root / ".workshop" / "released"
        self.given_at = course.root / ".workshop" / "given"

    def labs(self) -> list[str]:
        """The labs that learners may fetch."""
        found = self._everything if self.all_labs else self._released
        return sorted(path.parent.name for path in found.glob("*/*.ipynb"))

    def lab(self, lab: str) -> dict[str, bytes]:
        """The files of a lab, by plain names.

        Raises:
            RefusedError: it cannot be fetched.
        """
        if lab not in self.labs():
            raise RefusedError(
                _(
                    "There is no lab {lab} to fetch; there are: {labs}.",
                    lab=repr(lab),
                    labs=", ".join(self.labs()) or _("none yet"),
                )
            )
        found = self._everything if self.all_labs else self._released
        return _files(found / lab)

    def release(self, lab: str) -> None:
        """Let everybody fetch a lab, as it now lies in `labs/`.

        Raises:
            CourseError: there is no such lab.
            RefusedError: it has no learner's notebook, or every lab is there already.
            StorageError: the disk is full; what was released stays so.
        """
        self.course.reference_path(lab)
        self._must_be_by_hand()
        source = self.course.root / "labs" / lab
        if not (source / f"{lab}.ipynb").is_file():
            raise RefusedError(
                _(
                    "Lab {lab} has no notebook for learners: generate it first, in "
                    "formgrader or with nbgrader generate_assignment {lab}.",
                    lab=lab,
                )
            )
        write_folder(self._released / lab, _files(source))

    def withdraw(self, lab: str) -> None:
        """Let nobody fetch it any more; who has it keeps it.

        Raises:
            RefusedError: every lab is there for everybody.
        """
        self._must_be_by_hand()
        self.lab(lab)
        shutil.rmtree(self._released / lab)

    def give(self, lab: str, learners: str = "*") -> list[str]:
        """Release what grading has written about a lab.

        Args:
            lab: which lab.
            learners: an account, or a pattern such as `*`.

        Returns:
            Who may read theirs now.

        Raises:
            CourseError: there is no such lab.
            RefusedError: grading has written nothing for them.
            StorageError: the disk is full; earlier pages stay as they were.
        """
        self.course.reference_path(lab)
        found = {
            path.parent.name: path
            for path in sorted((self.course.root / "feedback").glob(f"*/{lab}"))
            if fnmatchcase(path.parent.name, learners) and any(path.glob("*.html"))
        }
        if not found:
            raise RefusedError(
                _(
                    "There are no pages about {lab} to release: write them first, in "
                    "formgrader or with workshop grade {lab} --feedback.",
                    lab=lab,
                )
            )
        for learner, folder in found.items():
            pages = _files(folder)
            kept = {n: x for n, x in pages.items() if n.endswith((".html", TIMESTAMP))}
            write_folder(self.given_at / learner / lab, kept)
        return list(found)

    def feedback(self, learner: str, lab: str) -> dict[str, bytes]:
        """The pages that were released to a learner, by plain names.

        Raises:
            RefusedError: there are none yet.
        """
        self.course.reference_path(lab)
        look_at(learner, {lab: b""})
        pages = _files(self.given_at / learner / lab)
        pages.pop(TIMESTAMP, None)
        if not pages:
            raise RefusedError(
                _(
                    "There is no feedback on {lab} for you yet: ask again when your "
                    "instructor says that it is out.",
                    lab=lab,
                )
            )
        return pages

    def given(self, learner: str) -> dict[str, dict[str, str]]:
        """Lab -> what was released to a learner: the time of the work, and hashes."""
        look_at(learner, {"x": b""})
        found = {}
        for folder in sorted((self.given_at / learner).glob("[!.]*")):
            files = _files(folder)
            at = files.pop(TIMESTAMP, b"").decode(errors="replace").strip()
            told = {name: hashlib.sha256(x).hexdigest() for name, x in files.items()}
            found[folder.name] = {"at": at, **told}
        return found

    def _must_be_by_hand(self) -> None:
        if self.all_labs:
            raise RefusedError(
                _(
                    "Every lab is there for everybody. To release them one by one, "
                    'write labs = "released" below [course] in workshop.toml, and '
                    "start the hub again."
                )
            )


def _files(folder: Path) -> dict[str, bytes]:
    """The plain files of a folder."""
    found = sorted(folder.glob("[!.]*"))
    return {path.name: path.read_bytes() for path in found if path.is_file()}
