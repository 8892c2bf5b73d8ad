"""The `sparrow reproduce` command: the whole path again, from nothing to reasoning."""

import subprocess
import sys
from pathlib import Path

import click

from sparrow import runtime
from sparrow.checkpoints.stages import STAGES
from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["reproduce"]


class StageError(SparrowError):
    """A stage did not come to its end."""


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where all stages are kept (default: runs/reproduced in your sparrow folder).",
)
@click.option(
    "--until",
    type=click.Choice(list(STAGES)),
    help="The last stage (default: all of them).",
)
def reproduce(folder: Path | None, until: str | None) -> None:
    """Make every shipped model again, each from the one before; it can be resumed."""
    where = folder or runtime.home_folder() / "runs" / "reproduced"
    names = list(STAGES)
    for name in names[: names.index(until) + 1] if until else names:
        words = STAGES[name].words(lambda model: str(where / model / "model"))
        words += ["--folder", str(where / name)]
        click.echo(" ".join(("sparrow", *words)), err=True)
        code = "from sparrow.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code, *words], check=False)
        if done.returncode or not (where / name / "model").is_dir():
            raise StageError(
                _("{name} is not finished; the same command goes on.", name=name)
            )
