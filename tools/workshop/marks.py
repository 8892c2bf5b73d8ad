"""`workshop marks`: the gradebook as a table that Moodle and spreadsheets import.

One row a learner, one column a lab. Names come from people, so nothing in a cell is
left as it is that a spreadsheet would take for a formula.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from sparrow import runtime
from sparrow.errors import SparrowError, UsageError
from sparrow.language import _

__all__ = ["Row", "as_csv", "harmless", "marks", "rows"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
PEOPLE = Path(".workshop") / "roster.json"


@dataclass
class Row:
    """One learner. `waiting` counts answers that a person has still to read."""

    account: str
    name: str = ""
    email: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    waiting: int = 0


@click.command()
@click.argument("labs", nargs=-1)
@click.option(
    "--course",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("."),
    help="The course folder (default: this one).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here, and not on the screen.",
)
@click.option("--percent", is_flag=True, help="Shares of 100 in place of points.")
@click.option(
    "--bom", is_flag=True, help="Begin with a mark by which Excel knows UTF-8."
)
def marks(
    labs: tuple[str, ...], folder: Path, out: Path | None, percent: bool, bom: bool
) -> None:
    """Export the marks of LABS (default: all) as CSV.

    A lab that somebody has not handed in stays empty. Late penalties are taken off.
    """
    try:
        told, waiting = export(labs, folder, percent=percent)
        if out is None:
            click.echo(told, nl=False)
        else:
            with runtime.atomic_write(out) as file:
                file.write(told.encode("utf-8-sig" if bom else "utf-8"))
            click.echo(_("Wrote {path}.", path=out), err=True)
        if waiting:
            click.echo(
                _(
                    "{n} answers wait for a person: open formgrader, then export "
                    "again.",
                    n=waiting,
                ),
                err=True,
            )
    except SparrowError as error:
        click.echo(str(error), err=True)
        click.get_current_context().exit(error.exit_status)


def export(labs: Sequence[str], folder: Path, *, percent: bool) -> tuple[str, int]:
    """The table, and how many answers wait.

    Raises:
        UsageError: nothing was graded, or a lab was not.
    """
    from workshop.grading.course import Course
    from workshop.grading.pipeline import Pipeline, own_programs

    course = Course.at(folder)
    pipeline = Pipeline(course)
    pipeline.settle_late()  # a person may have given points since
    with own_programs():
        found, points = rows(pipeline.directory, course.root)
    if unknown := [lab for lab in labs if lab not in points]:
        raise UsageError(
            _(
                "No marks for {lab} yet: run workshop grade {lab} first. There are "
                "marks for: {labs}.",
                lab=unknown[0],
                labs=", ".join(points) or _("none"),
            )
        )
    chosen = {lab: points[lab] for lab in (labs or points)}
    if not chosen:
        raise UsageError(
            _("The gradebook has no marks yet: run `workshop grade LAB` first.")
        )
    told = as_csv(found, chosen, percent=percent)
    return told, sum(each.waiting for each in found)


def rows(directory: Any, course: Path) -> tuple[list[Row], dict[str, float]]:
    """Everybody in the gradebook, and the points of each lab.

    Args:
        directory: nbgrader's CourseDirectory, which knows the gradebook.
        course: the course folder, where the names may be.
    """
    from nbgrader.api import Gradebook

    found: dict[str, Row] = {}
    points: dict[str, float] = {}
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        for student in gradebook.students:
            name = f"{student.first_name or ''} {student.last_name or ''}".strip()
            found[student.id] = Row(student.id, name, student.email or "")
        for assignment in gradebook.assignments:
            points[assignment.name] = float(assignment.max_score)
            for each in gradebook.assignment_submissions(assignment.name):
                row = found[each.student.id]
                penalty = float(each.late_submission_penalty or 0)
                row.scores[assignment.name] = max(0.0, float(each.score) - penalty)
                row.waiting += sum(
                    grade.auto_score is None and grade.manual_score is None
                    for notebook in each.notebooks
                    for grade in notebook.grades
                )
    for account, (name, email) in _people(course).items():
        row = found.setdefault(account, Row(account))
        row.name, row.email = name or row.name, email or row.email
    return [found[each] for each in sorted(found)], dict(sorted(points.items()))


def _people(course: Path) -> dict[str, tuple[str, str]]:
    """Names and addresses by account, where a roster was imported."""
    try:
        told = json.loads((course / PEOPLE).read_text("utf-8"))
        return {each["account"]: (each["name"], each.get("email", "")) for each in told}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def as_csv(
    found: Sequence[Row], points: dict[str, float], *, percent: bool = False
) -> str:
    """The table as RFC 4180 says it: quoted where needed, lines ended by CR LF."""
    shown = io.StringIO()
    table = csv.writer(shown, lineterminator="\r\n")
    head = ["username", "name", "email"]
    table.writerow([*head, *points, "total", "waiting"])
    for row in found:
        marks = {lab: row.scores.get(lab) for lab in points}
        scale = {lab: 100 / points[lab] if percent else 1.0 for lab in points}
        cells = [
            "" if mark is None else f"{mark * scale[lab]:.4g}"
            for lab, mark in marks.items()
        ]
        earned = sum(mark or 0.0 for mark in marks.values())
        total = earned * 100 / sum(points.values()) if percent else earned
        people = [harmless(each) for each in (row.account, row.name, row.email)]
        table.writerow([*people, *cells, f"{total:.5g}", row.waiting])
    return shown.getvalue()


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula; control characters are left out."""
    plain = "".join(each if each.isprintable() else " " for each in text).strip()
    return f"'{plain}" if plain.startswith(FORMULA) else plain
