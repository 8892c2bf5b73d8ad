"""The `sparrow sft` command: a cold start for reinforcement learning."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import learn_from_text, run_flags
from sparrow.train.sft import SftRecipe

__all__ = ["sft"]


@click.command()
@run_flags("cold-start")
@flags_of(SftRecipe)
def sft(folder: Path | None, resume: bool, **values: Any) -> None:
    """Imitate search traces for a short while; the same command goes on."""
    from sparrow.train.sft import sft as imitate

    recipe = SftRecipe(**values)
    learn_from_text(
        partial(imitate, recipe),
        folder,
        "cold-start",
        resume=resume,
        steps=recipe.steps,
    )
