"""What every command that trains does: folder, a live view, a last word."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from sparrow import runtime
from sparrow.language import _
from sparrow.train.run import Trained, Watch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["carry_out", "keep_picture", "learn_from_text", "run_flags"]

Command = Callable[..., None]


class Carries(Protocol):
    """A function that carries out a run, such as `sparrow.train.loop.pretrain`."""

    def __call__(
        self,
        folder: Path,
        *,
        resume: bool,
        watch: Watch | None = None,
        say: Callable[[str], None] = ...,
    ) -> Trained:
        """Begin it or go on."""


def run_flags(name: str) -> Callable[[Any], Any]:
    """`--folder` and `--resume`; without a folder the run has one of its name."""

    def add(command: Any) -> Any:
        command = click.option(
            "--resume/--no-resume",
            default=True,
            show_default=True,
            help="Go on where a run in this folder stopped.",
        )(command)
        return click.option(
            "--folder",
            type=click.Path(path_type=Path),
            help=f"Where everything is kept (default: runs/{name} in your sparrow "
            "folder).",
        )(command)

    return add


def carry_out(
    work: Carries,
    folder: Path | None,
    name: str,
    *,
    resume: bool,
    shown: AbstractContextManager[Watch],
    steps: int,
) -> Trained | None:
    """Run it; the leading process shows a live line and says how it ended.

    Returns:
        What was trained, in the leading process alone.
    """
    where = folder or runtime.home_folder() / "runs" / name
    place = runtime.place_in_team()
    if place is not None and place.rank > 0:
        work(where, resume=resume)
        return None
    with shown as watch:
        trained = work(where, resume=resume, watch=watch, say=_say)
    if trained.is_finished:
        click.echo(trained.model)
        return trained
    _say(
        _(
            "Stopped after step {step} of {steps}; nothing is lost. The same command "
            "goes on.",
            step=trained.steps,
            steps=steps,
        )
    )
    return trained


def learn_from_text(
    work: Carries, folder: Path | None, name: str, *, resume: bool, steps: int
) -> None:
    """Run what tells a loss: a bar that moves, and at the end loss.svg."""
    from sparrow.train import metrics
    from sparrow.viz import training

    trained = carry_out(
        work, folder, name, resume=resume, shown=training.live(steps), steps=steps
    )
    if trained is not None and (told := metrics.read(trained.folder)[0]):
        keep_picture(trained.folder / "loss.svg", training.loss_curve(told))


def keep_picture(path: Path, axes: "Axes") -> None:
    """Write a plot beside the run that it shows."""
    from sparrow.viz.style import show

    with runtime.atomic_write(path) as file:
        file.write(show(axes).svg)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
