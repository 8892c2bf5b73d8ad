"""Drive nbgrader for one lab: register it, autograde a learner, write the feedback."""

import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparrow.errors import SparrowError, StorageError
from sparrow.language import _
from workshop.grading.course import CONFIG, Course
from workshop.grading.reference import Reference
from workshop.grading.report import Mark

__all__ = ["GradingError", "Pipeline", "own_programs"]

LEAST_FREE_BYTES = 2**20  # the gradebook alone needs a third of it


class GradingError(SparrowError):
    """nbgrader could not do a step; its own last words are in the sentence."""


class Pipeline:
    """nbgrader's steps on one course, with the course's own configuration."""

    def __init__(self, course: Course) -> None:
        from nbgrader.coursedir import CourseDirectory
        from traitlets.config.loader import PyFileConfigLoader

        self.course = course
        loader = PyFileConfigLoader(CONFIG, path=str(course.root))
        self.config: Any = loader.load_config()
        self.directory: Any = CourseDirectory(config=self.config)

    def register(self, lab: str) -> None:
        """Tell the gradebook about a lab, as `nbgrader generate_assignment` does.

        Nothing is written to `labs/`.

        Raises:
            GradingError: the lab's cells changed after learners had handed it in.
        """
        from nbgrader.converters import GenerateAssignment

        with tempfile.TemporaryDirectory() as folder:
            self.directory.release_directory = folder
            self._convert(GenerateAssignment, lab, ".")

    def autograde(self, lab: str, learner: str) -> None:
        """Grade what a learner has handed in.

        Raises:
            GradingError: nbgrader failed; other learners can still be graded.
            StorageError: the disk is full.
        """
        from nbgrader.converters import Autograde

        self._convert(Autograde, lab, learner)

    def feedback(self, lab: str, learner: str) -> None:
        """Write the pages that the learner gets back."""
        from nbgrader.converters import GenerateFeedback

        self._convert(GenerateFeedback, lab, learner)

    def marks(self, lab: Reference, learner: str) -> list[Mark]:
        """What the gradebook holds for a learner, exercise by exercise."""
        from nbgrader.api import Gradebook

        found = []
        with Gradebook(self.directory.db_url, self.directory.course_id) as gradebook:
            for each in lab.exercises:
                grade = gradebook.find_grade(
                    each.check_id or each.answer_id, lab.lab, lab.lab, learner
                )
                waits = grade.auto_score is None and grade.manual_score is None
                score = None if waits else float(grade.score)
                found.append(Mark(each.number, score, float(grade.max_score)))
        return found

    def settle_late(self) -> None:
        """Bring due dates and penalties up to date, for every lab."""
        from workshop.grading import late

        with own_programs():
            late.settle_all(self.directory, self.course.root)

    def penalties(self, lab: str) -> dict[str, float]:
        """Learner -> the points that late work has cost them."""
        from nbgrader.api import Gradebook

        with Gradebook(self.directory.db_url, self.directory.course_id) as gradebook:
            return {
                each.student.id: float(each.late_submission_penalty)
                for each in gradebook.assignment_submissions(lab)
                if each.late_submission_penalty
            }

    def has(self, lab: str, learner: str) -> bool:
        """Are marks and the graded notebook still where they were written?"""
        from nbgrader.api import Gradebook, MissingEntry

        folder = self.course.root / "autograded" / learner / lab
        with Gradebook(self.directory.db_url, self.directory.course_id) as gradebook:
            try:
                gradebook.find_submission_notebook(lab, lab, learner)
            except MissingEntry:
                return False
        return (folder / f"{lab}.ipynb").is_file()

    def _convert(self, converter: Any, lab: str, learner: str) -> None:
        self.directory.assignment_id = lab
        self.directory.student_id = learner
        made = converter(coursedir=self.directory, config=self.config)
        made.force = True
        with _listening(made) as heard, _inside(self.course.root), own_programs():
            try:
                made.start()
            except SparrowError:
                raise
            except (Exception, SystemExit) as error:
                if shutil.disk_usage(self.course.root).free < LEAST_FREE_BYTES:
                    raise StorageError(
                        _(
                            "The disk of {folder} is full: free some space, then grade "
                            "again; what was graded is kept.",
                            folder=self.course.root,
                        )
                    ) from error
                reason = heard.last or f"{type(error).__name__}: {error}"
                raise GradingError(
                    _("nbgrader could not do it: {reason}", reason=reason)
                ) from error


class _Heard:
    """The line of nbgrader's log that says most: the end of the first traceback."""

    last = ""


@contextmanager
def _listening(converter: Any) -> Iterator[_Heard]:
    """Keep nbgrader's log off the screen, and the reason of a failure in hand."""
    heard = _Heard()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage().strip()
            is_first = record.levelno >= logging.ERROR and not heard.last
            if is_first and "Traceback" in text:
                heard.last = text.splitlines()[-1]

    log = logging.getLogger("workshop.nbgrader")
    log.handlers, log.propagate = [Listener()], False
    log.setLevel(logging.WARNING)
    converter.log = log
    with warnings.catch_warnings():
        # nbgrader's own, about its database sessions: nobody here can act on them.
        warnings.simplefilter("ignore")
        yield heard


@contextmanager
def own_programs() -> Iterator[None]:
    """nbgrader calls `alembic`, which lies beside our Python, on the path or not."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
