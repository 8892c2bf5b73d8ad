"""The `sparrow pretrain` command: every field of a recipe is a flag."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import learn_from_text, run_flags
from sparrow.config import PRESETS, Config
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
@run_flags("PRESET")
@flags_of(Recipe)
def pretrain(preset: str, folder: Path | None, resume: bool, **values: Any) -> None:
    """Train a base model from nothing; the same command goes on after a power cut."""
    from sparrow.train import loop

    recipe = Recipe(model=Config.preset(preset), **values)
    learn_from_text(
        partial(loop.pretrain, recipe),
        folder,
        preset,
        resume=resume,
        steps=recipe.steps,
    )
