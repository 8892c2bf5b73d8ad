"""The `sparrow grpo` command: reinforcement learning from a rule's verdict alone."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparrow.cli.flags import flags_of
from sparrow.cli.runs import carry_out, keep_picture, run_flags
from sparrow.rl.recipe import GrpoRecipe

__all__ = ["grpo"]


@click.command()
@run_flags("grpo")
@flags_of(GrpoRecipe)
def grpo(folder: Path | None, resume: bool, **values: Any) -> None:
    """Learn from reward alone; the same command goes on after a power cut."""
    from sparrow.rl.loop import grpo as reinforce
    from sparrow.rl.metrics import Exam, Rollouts
    from sparrow.train.metrics import read_kind
    from sparrow.viz import reinforcement

    recipe = GrpoRecipe(**values)
    trained = carry_out(
        partial(reinforce, recipe),
        folder,
        "grpo",
        resume=resume,
        shown=reinforcement.live(recipe.steps),
        steps=recipe.steps,
    )
    if trained is not None and (steps := read_kind(trained.folder, Rollouts)):
        exams = read_kind(trained.folder, Exam)
        curves = reinforcement.learning_curve(steps, exams)
        keep_picture(trained.folder / "reward.svg", curves)
        lengths = reinforcement.length_curve(steps)
        keep_picture(trained.folder / "length.svg", lengths)
