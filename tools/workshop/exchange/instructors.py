"""nbgrader's exchange for the instructor: what formgrader's buttons ask for.

The course folder and the record are the instructor's own, so nothing has to go through
the window. `nbgrader_config.py` of the course names these classes.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc

from sparrow.language import _
from workshop.classroom import rules
from workshop.exchange.desk import Desk
from workshop.exchange.learners import Step
from workshop.exchange.shelf import Shelf
from workshop.grading.course import Course

__all__ = ["Collect", "List", "ReleaseAssignment", "ReleaseFeedback"]


class InCourse(Step):
    """A step in the course folder."""

    @cached_property
    def desk(self) -> Desk:
        """Where submissions came."""
        course = Course.at(Path(self.coursedir.root))
        return Desk(course, rules.of(course.root))

    @cached_property
    def shelf(self) -> Shelf:
        """What learners may take."""
        return Shelf(self.desk.course, self.desk.classroom)

    @property
    def learners(self) -> str:
        """An account, or a pattern."""
        return str(self.coursedir.student_id or "*")


class ReleaseAssignment(InCourse, abc.ExchangeReleaseAssignment):  # type: ignore[misc]
    """Let learners fetch a lab."""

    def copy_files(self) -> None:
        """Copy what lies in `labs/`."""
        if self.lab in self.shelf.labs() and not (self.force or self.shelf.all_labs):
            self.fail(
                _(
                    "Lab {lab} is released already. To release it as it is now, add "
                    "--force; who has fetched it keeps theirs.",
                    lab=self.lab,
                )
            )
        self.shelf.release(self.lab)
        self.log.info(_("Learners can fetch {lab} now.", lab=self.lab))


class ReleaseFeedback(InCourse, abc.ExchangeReleaseFeedback):  # type: ignore[misc]
    """Let learners read what grading has written about their work."""

    def copy_files(self) -> None:
        """Copy the pages."""
        found = self.shelf.give(self.lab, self.learners)
        self.log.info(
            _("{n} learners can read about {lab} now.", n=len(found), lab=self.lab)
        )


class Collect(InCourse, abc.ExchangeCollect):  # type: ignore[misc]
    """Put everybody's latest submission where grading reads it."""

    def copy_files(self) -> None:
        """Compare each file with the record, then copy."""
        if self.before_duedate:
            self.fail(
                _(
                    "The latest submission is collected, in time or late: say in "
                    "workshop.toml below [late] what late work costs."
                )
            )
        found = self.desk.collect(self.lab, self.learners)
        self.log.info(
            _("Collected submissions of {lab}: {n}.", n=len(found), lab=self.lab)
        )


class List(InCourse, abc.ExchangeList):  # type: ignore[misc]
    """Say what learners can fetch, or what they handed in."""

    def list_files(self) -> list[dict[str, Any]]:
        """What formgrader asks before it shows the labs."""
        if self.inbound or self.cached:
            return self._handed_in()
        found = [
            {
                "course_id": self.coursedir.course_id,
                "assignment_id": lab,
                "status": "released",
            }
            for lab in self.shelf.labs()
            if self.lab in ("", "*", lab)
        ]
        for each in found:
            self.log.info("%(assignment_id)s (%(status)s)", each)
        return found

    def remove_files(self) -> None:
        """Withdraw a lab. What was handed in stays on record, whoever asks."""
        if self.inbound or self.cached:
            self.fail(_("Nothing is removed here: what was handed in stays on record."))
        self.shelf.withdraw(self.lab)
        self.log.info(_("Nobody can fetch {lab} any more.", lab=self.lab))

    def _handed_in(self) -> list[dict[str, Any]]:
        found = [
            {
                "course_id": self.coursedir.course_id,
                "assignment_id": each.lab,
                "student_id": each.learner,
                "status": "submitted",
                "timestamp": each.at,
            }
            for each in self.desk.receipts()
            if self.lab in ("", "*", each.lab) and self.learners in ("*", each.learner)
        ]
        for told in found:
            self.log.info("%(student_id)s %(assignment_id)s %(timestamp)s", told)
        return found
