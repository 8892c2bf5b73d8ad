"""Problems of any family, ours or reasoning-gym's: drawn by seed, from one side."""

from sparrow.data import countdown
from sparrow.runtime import generator
from sparrow.verify import Problem

__all__ = ["drawn"]


def drawn(
    family: str, count: int, *, seed: int, numbers: int, largest: int, held_out: bool
) -> list[Problem]:
    """So many problems of a family.

    Args:
        family: `countdown`, or one of reasoning-gym: `gym:bf`.
        count: how many.
        seed: decides which.
        numbers: countdown only: numbers a problem.
        largest: countdown only: the largest number given.
        held_out: from the side of the tests, which training never meets.

    Raises:
        ConfigError: there is no such family, or it has no such problems.
    """
    if family != "countdown":
        from sparrow.verify import gym  # it takes a second to import

        return list(gym.gym_problems(family, count, seed=seed, held_out=held_out))
    return list(
        countdown.problems(
            generator(seed), count, numbers=numbers, largest=largest, held_out=held_out
        )
    )
