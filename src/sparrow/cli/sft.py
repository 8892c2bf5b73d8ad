"""The `sparrow sft` command: a cold start for reinforcement learning."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import carry_out, keep_picture, run_flags
from sparrow.train.sft import SftRecipe

__all__ = ["sft"]


@click.command()
@run_flags("cold-start")
@flags_of(SftRecipe)
def sft(folder: Path | None, resume: bool, **values: Any) -> None:
    """Imitate search traces for a short while; the same command goes on."""
    from sparrow.train import metrics
    from sparrow.train.sft import sft as imitate
    from sparrow.viz import training

    recipe = SftRecipe(**values)
    trained = carry_out(
        partial(imitate, recipe),
        folder,
        "cold-start",
        resume=resume,
        shown=training.live(recipe.steps),
        steps=recipe.steps,
    )
    if trained is not None and (steps := metrics.read(trained.folder)[0]):
        keep_picture(trained.folder / "loss.svg", training.loss_curve(steps))
