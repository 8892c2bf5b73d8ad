"""The `sparrow pretrain` command: every field of a recipe is a flag."""

from pathlib import Path
from typing import Any

import click

from sparrow import runtime
from sparrow.cli.flags import flags_of
from sparrow.config import PRESETS, Config
from sparrow.language import _
from sparrow.train.recipe import Recipe

__all__ = ["pretrain"]


@click.command()
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="pico",
    show_default=True,
    help="The shape of the model.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where everything is kept (default: runs/PRESET in your sparrow folder).",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on where a run in this folder stopped.",
)
@flags_of(Recipe)
def pretrain(preset: str, folder: Path | None, resume: bool, **values: Any) -> None:
    """Train a base model from nothing; the same command goes on after a power cut."""
    from sparrow.train import loop, metrics
    from sparrow.viz import training
    from sparrow.viz.style import show

    recipe = Recipe(model=Config.preset(preset), **values)
    where = folder or runtime.home_folder() / "runs" / preset
    place = runtime.place_in_team()
    if place is not None and place.rank > 0:
        loop.pretrain(recipe, where, resume=resume)
        return
    with training.live(recipe.steps) as shown:
        trained = loop.pretrain(
            recipe,
            where,
            resume=resume,
            watch=shown,
            say=lambda sentence: click.echo(sentence, err=True),
        )
    steps, _looks = metrics.read(where)
    if steps:
        with runtime.atomic_write(where / "loss.svg") as file:
            file.write(show(training.loss_curve(steps)).svg)
    if trained.is_finished:
        click.echo(trained.model)
        return
    click.echo(
        _(
            "Stopped after step {step} of {steps}; nothing is lost. The same command "
            "goes on.",
            step=trained.steps,
            steps=recipe.steps,
        ),
        err=True,
    )
