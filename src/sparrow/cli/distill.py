"""The `sparrow distill` command: learn from a model that can already do it."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import learn_from_text, run_flags
from sparrow.distill.recipe import DistillRecipe

__all__ = ["distill"]


@click.command()
@run_flags("distilled")
@flags_of(DistillRecipe)
def distill(folder: Path | None, resume: bool, **values: Any) -> None:
    """Learn from a teacher's right answers; the same command goes on."""
    from sparrow.distill.loop import distill as teach

    recipe = DistillRecipe(**values)
    learn_from_text(
        partial(teach, recipe), folder, "distilled", resume=resume, steps=recipe.steps
    )
