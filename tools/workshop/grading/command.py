"""`workshop grade`: grade what learners handed in, and show a table."""

from contextlib import ExitStack
from pathlib import Path

import click

from sparrow.errors import SparrowError
from sparrow.language import _

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
@click.option("--feedback", is_flag=True, help="Also write the pages for learners.")
@click.option(
    "--no-sandbox",
    is_flag=True,
    help="Run without bubblewrap. Only for notebooks that you wrote yourself.",
)
def grade(
    lab: str, learner: str | None, folder: Path, feedback: bool, no_sandbox: bool
) -> None:
    """Grade the submissions of LAB, such as 02_latent_attention.

    Submissions are read from submitted/LEARNER/LAB/. Scores go to the gradebook; what
    a person must read waits in formgrader. Ends with 1 if a submission was refused.
    """
    try:
        status = run(lab, learner, folder, feedback=feedback, bare=no_sandbox)
    except SparrowError as error:
        click.echo(str(error), err=True)
        status = error.exit_status
    click.get_current_context().exit(status)


def run(
    lab: str, learner: str | None, folder: Path, *, feedback: bool, bare: bool
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
    from workshop.grading.course import Course, CourseError
    from workshop.grading.pipeline import GradingError, Pipeline
    from workshop.grading.preprocessors import use_box
    from workshop.grading.submission import RefusedError, examine
    from workshop.sandbox import Box

    course = Course.at(folder)
    known = reference.read(course.reference_path(lab))
    submissions = course.submissions(lab)
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
    screen, errors = Console(), Console(stderr=True)
    marks: dict[str, list[report.Mark]] = {}
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        box = stack.enter_context(Box(bare=bare))
        box.start()  # before anything is written: without a sandbox nothing is
        if bare:
            errors.print(
                _(
                    "No sandbox: these notebooks run with your rights, on your files. "
                    "Go on only if you wrote them yourself."
                ),
                style="yellow",
            )
        stack.enter_context(use_box(box))
        pipeline = Pipeline(course)
        pipeline.register(lab)
        status = stack.enter_context(errors.status(_("Grading")))
        for at, (name, path) in enumerate(submissions.items()):
            status.update(
                Text(
                    _(
                        "Grading {name} ({at} of {n})",
                        name=name,
                        at=at + 1,
                        n=len(submissions),
                    )
                )
            )
            try:
                examine(path, lab)
                pipeline.autograde(lab, name)
                marks[name] = pipeline.marks(known, name)
                if feedback:
                    pipeline.feedback(lab, name)
            except (RefusedError, GradingError) as error:
                refused[name] = str(error)
    _print(screen, errors, report.table(lab, dict(marks), refused), refused)
    return 1 if refused else 0


def _print(
    screen: object, errors: object, table: object, refused: dict[str, str]
) -> None:
    from rich.console import Console
    from rich.text import Text

    assert isinstance(screen, Console)
    assert isinstance(errors, Console)
    screen.print(table)
    for name, reason in sorted(refused.items()):
        errors.print(
            Text(_("{name} was not graded. {reason}", name=name, reason=reason))
        )
