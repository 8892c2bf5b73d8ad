"""What late work costs: a share of its points for each day that has begun.

The deadline of `workshop.toml` is nbgrader's due date, so its gradebook, its extensions
and its penalties go on as everywhere. nbgrader fixes a penalty when it autogrades; a
written answer earns its points later. So penalties are settled again, from the points
that stand there, before anybody is shown them.
"""

import math
from datetime import UTC
from pathlib import Path
from typing import Any

from nbgrader.api import Assignment, Gradebook, SubmittedNotebook
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import NbGraderPreprocessor

from workshop.classroom import rules
from workshop.classroom.tables import Classroom, LateTable

__all__ = ["DaysLate", "SettleLate", "penalty", "set_due", "settle_all"]

DAY_S = 86_400


def penalty(points: float, seconds_late: float, late: LateTable) -> float:
    """The points that are taken off.

    Args:
        points: what was earned.
        seconds_late: after the due date. A clock that jumped back makes it negative;
            then nothing is taken.
        late: the rules. The first day begins when the grace has ended.

    Returns:
        From 0 to `points`.
    """
    after_grace_s = seconds_late - 60 * late.grace_minutes
    days = max(0, math.ceil(after_grace_s / DAY_S))
    return points * min(1.0, days * late.percent_a_day / 100)


class DaysLate(LateSubmissionPlugin):  # type: ignore[misc]
    """nbgrader's place for a rule of one's own; it is asked in the course folder."""

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float:
        """The points that are taken off a notebook."""
        return penalty(score, total_seconds_late, rules.of(Path.cwd()).late)


def set_due(assignment: Assignment, classroom: Classroom) -> None:
    """Tell the gradebook the deadline; without one, what formgrader was told stays."""
    due = classroom.deadlines.get(assignment.name)
    if due is not None:
        assignment.duedate = due.astimezone(UTC).replace(tzinfo=None)  # as nbgrader's


def settle(notebook: SubmittedNotebook, classroom: Classroom) -> None:
    """Set the penalty by the points that stand there now; the caller commits."""
    late_s = notebook.assignment.total_seconds_late
    taken = penalty(float(notebook.score), late_s, classroom.late)
    notebook.late_submission_penalty = taken or None


def settle_all(directory: Any, course: Path) -> None:
    """Bring the due dates and penalties of a whole gradebook up to date.

    Args:
        directory: nbgrader's CourseDirectory.
        course: the course folder.
    """
    classroom = rules.of(course)
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        for assignment in gradebook.assignments:
            set_due(assignment, classroom)
            for submission in assignment.submissions:
                for notebook in submission.notebooks:
                    settle(notebook, classroom)
        gradebook.db.commit()


class SettleLate(NbGraderPreprocessor):  # type: ignore[misc]
    """Before feedback is written: the penalty of a notebook, by its points of now."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Set it in the gradebook; the notebook stays as it is."""
        about = resources["nbgrader"]
        where = (about["notebook"], about["assignment"], about["student"])
        classroom = rules.of(Path.cwd())
        with Gradebook(about["db_url"]) as gradebook:
            notebook = gradebook.find_submission_notebook(*where)
            set_due(notebook.assignment.assignment, classroom)
            settle(notebook, classroom)
            gradebook.db.commit()
        return nb, resources
