"""Teach a student at the cost of another run, counted in sums.

    python -m sparrow.distill.within runs/reward1 runs/taught1 --seed 1 --problems 1500

lets the teacher write first, then learns for as many steps as runs/reward1 would pay.
"""

from dataclasses import replace
from pathlib import Path

import click

from sparrow.distill import budget, examination, loop
from sparrow.distill.budget import Work
from sparrow.distill.recipe import DistillRecipe
from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.train.run import Trained
from sparrow.train.side_by_side import with_threads

__all__ = ["main", "recipe_of", "teach"]

CHOICES = DistillRecipe.CHOICES["method"]


def recipe_of(seed: int, problems: int, **others: str) -> DistillRecipe:
    """The way to be taught that lab 08 compares: where reward began, two answers each.

    Args:
        seed: decides everything that is drawn.
        problems: to ask the teacher.
        others: fields of the recipe that differ from lab 08's.
    """
    named = {"init": "pico-cold-start", "teacher": "pico-r1", "method": "hard"}
    return DistillRecipe(
        seed=seed,
        problems=problems,
        entropy_floor=0.0,  # all the budget is used: nobody learns from reward after it
        evaluate_every_steps=0,
        **{**named, **others},  # type: ignore[arg-type]
    )


def teach(recipe: DistillRecipe, folder: Path, cost: Work) -> Trained:
    """Teach for as many steps as `cost` leaves after the teacher's answers."""
    taught = loop.lessons(recipe, folder)
    steps = budget.steps_within(
        cost, written=taught.tokens, tokens_per_step=recipe.tokens_per_step
    )
    return loop.distill(replace(recipe, steps=steps), folder)


@click.command()
@click.argument("other", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=1, help="Decides everything that is drawn.")
@click.option("--problems", default=1500, help="To ask the teacher, twice each.")
@click.option("--method", default="hard", type=click.Choice(CHOICES))
@click.option("--init", default="pico-cold-start", help="The student.")
@click.option("--teacher", default="pico-r1", help="The teacher.")
@click.option("--threads", default=1, help="Of the processor.")
def main(
    other: Path,
    folder: Path,
    seed: int,
    problems: int,
    threads: int,
    **names: str,
) -> None:
    """Teach a student in FOLDER at the cost of the run in OTHER."""
    try:
        recipe = recipe_of(seed, problems, **names)
        cost = budget.of_run(other, examination.prompt_tokens(recipe.init))
        with with_threads(threads):
            trained = teach(recipe, folder, cost)
    except SparrowError as error:
        raise click.ClickException(str(error)) from error
    click.echo(_("Taught in {n} steps: {path}.", n=trained.steps, path=trained.model))


if __name__ == "__main__":
    main()
