"""`workshop grade`: grade what learners handed in, and show a table."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparrow.errors import SparrowError
from sparrow.language import _

if TYPE_CHECKING:
    from workshop.grading.pipeline import Pipeline
    from workshop.grading.reference import Reference

__all__ = ["grade"]


@click.command()
@click.argument("lab")
@click.option("--student", "learner", help="Only this learner.")
@click.option(
    "--course",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("."),
    help="The course folder (default: this one).",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Submissions that run at the same time (default: one a core).",
)
@click.option("--again", is_flag=True, help="Run everything again, known or not.")
@click.option(
    "--feedback",
    is_flag=True,
    help="Also write the pages for learners; you release them later.",
)
@click.option(
    "--no-sandbox",
    is_flag=True,
    help="Run without bubblewrap. Only for notebooks that you wrote yourself.",
)
def grade(
    lab: str,
    learner: str | None,
    folder: Path,
    workers: int | None,
    again: bool,
    feedback: bool,
    no_sandbox: bool,
) -> None:
    """Grade the submissions of LAB, such as 02_latent_attention.

    Submissions are read from submitted/LEARNER/LAB/. Scores go to the gradebook; what
    a person must read waits in formgrader. After a power cut, type the same command
    again: it goes on where it was. What has not changed since the last time is left as
    it is.

    Ends with 0 if everybody was graded, 1 if a submission was refused or the sandbox
    cannot work, 2 if there is nothing to grade.
    """
    try:
        status = run(
            lab,
            learner,
            folder,
            workers=workers or os.cpu_count() or 1,
            again=again,
            feedback=feedback,
            bare=no_sandbox,
        )
    except SparrowError as error:
        click.echo(str(error), err=True)
        status = error.exit_status
    click.get_current_context().exit(status)


def run(
    lab: str,
    learner: str | None,
    folder: Path,
    *,
    workers: int,
    again: bool,
    feedback: bool,
    bare: bool,
) -> int:
    """Grade, and print the table.

    Returns:
        0, or 1 if a submission was refused or could not be graded.

    Raises:
        SparrowError: there is nothing to grade, or no sandbox to grade in.
    """
    from rich.console import Console
    from rich.text import Text

    from workshop.grading import reference, report
    from workshop.grading.course import Course
    from workshop.grading.pipeline import Pipeline
    from workshop.grading.written import alone

    course = Course.at(folder)
    known = reference.read(course.reference_path(lab))
    submissions = _handed_in(course, lab, learner)
    screen, errors = Console(), Console(stderr=True)
    with ExitStack() as stack:
        boxes = _boxes(stack, min(workers, len(submissions)), bare, errors)
        stack.enter_context(alone(course.root))  # the first thing that is written
        bar = stack.enter_context(_progress(errors))
        pipeline = Pipeline(course)
        pipeline.register(lab)
        marks, outcomes, refused = _grade_all(
            pipeline, known, submissions, boxes, bar, again=again, feedback=feedback
        )
        pipeline.settle_late()
    screen.print(report.table(lab, marks, refused, pipeline.penalties(lab)))
    if (problems := report.problems(outcomes, refused)) is not None:
        screen.print("", problems, sep="\n")
    for name, reason in sorted(refused.items()):
        text = _("{name} was not graded. {reason}", name=name, reason=reason)
        errors.print(Text(text))
    return 1 if refused else 0


def _boxes(stack: ExitStack, count: int, bare: bool, errors: Any) -> list[Any]:
    """Warm sandboxes, each on a core of its own: none can slow another.

    Raises:
        SandboxError: there is no sandbox; nothing has been written yet.
    """
    from workshop.sandbox import Box

    cores = sorted(os.sched_getaffinity(0))
    boxes = [
        stack.enter_context(Box(bare=bare, core=cores[at % len(cores)]))
        for at in range(count)
    ]
    for box in boxes:
        box.start()
    if bare:
        errors.print(
            _(
                "No sandbox: these notebooks run with your rights, on your files. "
                "Go on only if you wrote them yourself."
            ),
            style="yellow",
        )
    return boxes


def _grade_all(
    pipeline: "Pipeline",
    known: "Reference",
    submissions: dict[str, Path],
    boxes: list[Any],
    bar: Any,
    *,
    again: bool,
    feedback: bool,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Run everybody side by side, then write their marks one by one.

    Returns:
        Learner -> marks; learner -> outcomes; learner -> why they were refused.
    """
    from workshop.grading.ahead import run_ahead
    from workshop.grading.pipeline import GradingError
    from workshop.grading.preprocessors import kept_of, released_cells, use_box
    from workshop.grading.submission import RefusedError, examine
    from workshop.grading.written import Written

    course, lab = pipeline.course, known.lab
    released = released_cells(pipeline.directory.db_url, lab)
    kept = kept_of(course, lab, released)
    written = Written(kept)
    if again:
        kept.forget()
        written.forget()
    running = bar.add_task(_("Running"), total=len(submissions))
    outcomes = run_ahead(
        kept,
        known,
        submissions,
        secret=course.secret(),
        released=released,
        boxes=boxes,
        tell=lambda _name: bar.advance(running),
    )
    marks, refused = {}, {}
    writing = bar.add_task(_("Writing marks"), total=len(submissions))
    for name, path in submissions.items():
        try:
            examine(path, lab)
            if not (written.has(name, path) and pipeline.has(lab, name)):
                with use_box(boxes[0]):
                    pipeline.autograde(lab, name)
                written.add(name, path)
            marks[name] = pipeline.marks(known, name)
            if feedback:
                pipeline.feedback(lab, name)
        except (RefusedError, GradingError) as error:
            refused[name] = str(error)
        bar.advance(writing)
    return marks, outcomes, refused


def _handed_in(course: Any, lab: str, learner: str | None) -> dict[str, Path]:
    """Learner -> the folder with their submission.

    Raises:
        CourseError: there is none.
    """
    from workshop.grading.course import CourseError

    submissions: dict[str, Path] = course.submissions(lab)
    if learner is not None:
        submissions = {k: v for k, v in submissions.items() if k == learner}
    if not submissions:
        raise CourseError(
            _(
                "Nothing has been handed in for {lab}: submissions are read from "
                "{folder}.",
                lab=lab,
                folder=course.root / "submitted" / (learner or "*") / lab,
            )
        )
    return submissions


def _progress(errors: Any) -> Any:
    """A bar for each of the two parts, with the time that is left."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )
