"""The `sparrow distill` command: learn from a model that can already do it."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import carry_out, keep_picture, run_flags
from sparrow.distill.recipe import DistillRecipe

__all__ = ["distill"]


@click.command()
@run_flags("distilled")
@flags_of(DistillRecipe)
def distill(folder: Path | None, resume: bool, **values: Any) -> None:
    """Learn from a teacher's right answers; the same command goes on."""
    from sparrow.distill.loop import distill as teach
    from sparrow.train import metrics
    from sparrow.viz import training

    recipe = DistillRecipe(**values)
    trained = carry_out(
        partial(teach, recipe),
        folder,
        "distilled",
        resume=resume,
        shown=training.live(recipe.steps),
        steps=recipe.steps,
    )
    if trained is not None and (steps := metrics.read(trained.folder)[0]):
        keep_picture(trained.folder / "loss.svg", training.loss_curve(steps))
