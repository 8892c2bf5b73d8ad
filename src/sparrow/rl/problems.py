"""Which problems a step asks: a pure function of seed and step, and never a test's."""

from sparrow.data import problems
from sparrow.rl.recipe import GrpoRecipe
from sparrow.verify import Problem

__all__ = ["asked", "examination"]

EXAMINATION_SEED = 20_250_120  # the day on which R1 was published; the same for all
STRIDE = 1_000_003  # between the seeds of two runs


def asked(recipe: GrpoRecipe, step: int) -> list[Problem]:
    """The questions of one step.

    Raises:
        ConfigError: there is no such family, or its settings make no sense.
    """
    return problems.drawn(
        recipe.family,
        recipe.questions,
        seed=recipe.seed * STRIDE + step,
        numbers=recipe.numbers,
        largest=recipe.largest,
        held_out=False,
    )


def examination(
    recipe: GrpoRecipe, count: int, *, held_out: bool = True
) -> list[Problem]:
    """Problems to examine a model on: the same ones for every seed.

    Args:
        recipe: what kind of problems.
        count: how many.
        held_out: False: from the side that training may meet, for the gate.
    """
    return problems.drawn(
        recipe.family,
        count,
        seed=EXAMINATION_SEED,
        numbers=recipe.numbers,
        largest=recipe.largest,
        held_out=held_out,
    )
