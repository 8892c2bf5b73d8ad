"""Our steps in nbgrader's pipeline; their order is in `nbgrader_config.py`.

nbgrader runs its steps in the course folder, so that is where we look for the lab.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

from sparrow.checks.judging import Outcome
from sparrow.language import _
from workshop.classroom import rules
from workshop.grading import judge, late, reference, render, repair, report
from workshop.grading.course import Course
from workshop.grading.kept import Answered, Kept
from workshop.grading.reference import Reference
from workshop.grading.submission import examine
from workshop.sandbox import Box

__all__ = [
    "CutStubs",
    "MarkUngraded",
    "RecordScores",
    "RepairCells",
    "RunInSandbox",
    "SanitizeAnswers",
    "kept_of",
    "released_cells",
    "use_box",
]

_shared: ContextVar[Box | None] = ContextVar("box", default=None)


@contextmanager
def use_box(box: Box) -> Iterator[None]:
    """Let every notebook in the block run in this box, which stays warm."""
    token = _shared.set(box)
    try:
        yield
    finally:
        _shared.reset(token)


@contextmanager
def _box() -> Iterator[Box]:
    """The shared box, or one for this notebook alone."""
    shared = _shared.get()
    if shared is not None:
        yield shared
        return
    with Box() as own:
        yield own


def _lab(resources: Any) -> tuple[Course, Reference]:
    course = Course.at(Path.cwd())
    path = course.reference_path(resources["nbgrader"]["assignment"])
    return course, reference.read(path)


class CutStubs(NbGraderPreprocessor):  # type: ignore[misc]
    """Turn the full notebook into the learner's, exactly as `workshop build` does."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Replace the whole notebook; the builder knows how."""
        from workshop.build import release

        return release(nb), resources


class RepairCells(NbGraderPreprocessor):  # type: ignore[misc]
    """First of all: known metadata, split cells joined, missing cells back."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Mend the notebook by what the gradebook knows."""
        about = resources["nbgrader"]
        course, lab = _lab(resources)
        submitted = course.submissions(about["assignment"]).get(about["student"])
        if submitted is not None:
            examine(submitted, about["assignment"])
        with Gradebook(about["db_url"]) as gradebook:
            notebook = gradebook.find_notebook(about["notebook"], about["assignment"])
            known = _known(notebook, lab)
        for grade_id in repair.repair(nb, known):
            self.log.warning("%s: %s was missing", about["student"], grade_id)
        return nb, resources


def _known(notebook: Any, lab: Reference) -> list[repair.Known]:
    points = {each.name: each.max_score for each in notebook.grade_cells}
    solutions = {each.name for each in notebook.solution_cells}
    found = [
        repair.Known(
            grade_id=each.name,
            cell_type=each.cell_type,
            source=each.source,
            checksum=each.checksum,
            locked=bool(each.locked),
            is_solution=each.name in solutions,
            points=points.get(each.name),
        )
        for each in notebook.source_cells
    ]
    order = {grade_id: at for at, grade_id in enumerate(lab.order)}
    return sorted(found, key=lambda each: order.get(each.grade_id, len(order)))


def released_cells(db_url: str, lab: str) -> dict[str, str]:
    """grade_id -> the source that learners were given."""
    with Gradebook(db_url) as gradebook:
        notebook = gradebook.find_notebook(lab, lab)
        return {each.name: each.source or "" for each in notebook.source_cells}


def kept_of(course: Course, lab: str, released: dict[str, str]) -> Kept:
    """What is known of the lab's submissions."""
    return Kept(course.root, lab, {**released, "": course.secret()})


class RunInSandbox(NbGraderPreprocessor):  # type: ignore[misc]
    """In place of nbgrader's Execute: run the exercises, and keep their outcomes."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Put the outcomes into `resources["sparrow"]`; the notebook stays as it is."""
        course, lab = _lab(resources)
        about = resources["nbgrader"]
        folder = course.submissions(about["assignment"]).get(about["student"])
        answered = Answered.of(nb, folder)
        released = released_cells(about["db_url"], about["notebook"])
        kept = kept_of(course, lab.lab, released)
        outcomes = kept.find(answered)
        if outcomes is None:
            with _box() as box:
                outcomes = judge.grade(
                    box,
                    lab,
                    answered.answers,
                    answered.others,
                    course.secret(),
                    released,
                    folder,
                )
            kept.keep(answered, outcomes)
        resources["sparrow"] = outcomes
        return nb, resources


class RecordScores(NbGraderPreprocessor):  # type: ignore[misc]
    """In place of nbgrader's SaveAutoGrades: write scores and comments.

    It walks the lab's exercises and not the notebook's cells: a deleted cell scores
    zero too.
    """

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Write to the gradebook; the notebook stays as it is."""
        course, lab = _lab(resources)
        about = resources["nbgrader"]
        where = (about["notebook"], about["assignment"], about["student"])
        outcomes: dict[str, Outcome] = resources["sparrow"]
        with Gradebook(about["db_url"]) as gradebook:
            # nbgrader's step after this one takes off what is late.
            late.set_due(gradebook.find_assignment(lab.lab), rules.of(course.root))
            for exercise in lab.exercises:
                if exercise.check_id is not None:
                    grade = gradebook.find_grade(exercise.check_id, *where)
                    outcome = outcomes[exercise.number]
                    grade.auto_score = outcome.points_frac * grade.max_score
                    text: str | None = report.comment(outcome, grade.max_score)
                else:
                    grade = gradebook.find_grade(exercise.answer_id, *where)
                    is_empty = _is_unanswered(gradebook, nb, exercise.answer_id, where)
                    grade.auto_score = 0.0 if is_empty else None
                    text = _("There is no answer.") if is_empty else None
                # A score that a person gave stays, and asks to be looked at again.
                grade.needs_manual_grade = (
                    grade.manual_score is not None or grade.auto_score is None
                )
                gradebook.find_comment(exercise.answer_id, *where).auto_comment = text
            gradebook.db.commit()
        return nb, resources


def _is_unanswered(
    gradebook: Any, nb: Any, grade_id: str, where: tuple[str, str, str]
) -> bool:
    released = gradebook.find_source_cell(grade_id, *where[:2]).source
    for cell in nb.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
            return cell.source.strip() in ("", (released or "").strip())
    return True


class MarkUngraded(NbGraderPreprocessor):  # type: ignore[misc]
    """In feedback, what waits for a person has no score; nbgrader would say zero."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Take the score out of cells that nobody has graded yet."""
        about = resources["nbgrader"]
        where = (about["notebook"], about["assignment"], about["student"])
        with Gradebook(about["db_url"]) as gradebook:
            for cell in nb.cells:
                known = cell.metadata.get("nbgrader", {})
                if known.get("grade"):
                    grade = gradebook.find_grade(known["grade_id"], *where)
                    if grade.auto_score is None and grade.manual_score is None:
                        known["score"] = None
        return nb, resources


class SanitizeAnswers(SanitizeHTML):  # type: ignore[misc]
    """Take script out of what the learner wrote; the lab's own text stays as it is."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Clean every cell that did not come with the lab."""
        _course, lab = _lab(resources)
        nb.metadata.pop("widgets", None)
        for at, cell in enumerate(nb.cells):
            cell.pop("attachments", None)
            if cell.source not in lab.own_text:
                if cell.cell_type != "code":
                    cell.source = render.calm(cell.source)
                self.preprocess_cell(cell, resources, at)
        return nb, resources
