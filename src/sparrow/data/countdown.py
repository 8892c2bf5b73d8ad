"""Countdown problems: as many as wanted, as hard as wanted, held out by construction.

Which side of the split a problem is on is a hash of its numbers, in whatever order,
and its target: the same hash that `puzzles` uses, so pretraining never met a problem
that is kept for tests.
"""

from itertools import islice

import torch

from sparrow.data import puzzles, search
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.verify import Countdown

__all__ = ["is_held_out", "problems"]

MOST_TARGET = 99
MOST_TRIES = 2000  # a problem that is drawn this often without luck does not exist


def problems(
    generator: torch.Generator,
    count: int,
    *,
    numbers: int = 3,
    largest: int = 9,
    held_out: bool,
) -> list[Countdown]:
    """Solvable problems, each once for tests; training may meet one several times.

    Args:
        generator: decides which; one seed a learner.
        count: how many.
        numbers: how many numbers each gives; more of them are harder.
        largest: no given number is above this; larger ones are harder.
        held_out: from which side of the split.

    Raises:
        ConfigError: the dial is out of its range, or there are not so many problems.
    """
    if not 2 <= numbers <= 6 or not 2 <= largest <= 99 or count < 1:
        raise ConfigError(
            _(
                "numbers must be in 2..6, largest in 2..99 and count at least 1; "
                "got {numbers}, {largest} and {count}.",
                numbers=numbers,
                largest=largest,
                count=count,
            )
        )
    found: dict[object, Countdown] = {}
    for tries in range(MOST_TRIES * count):
        given = torch.randint(1, largest + 1, (numbers,), generator=generator).tolist()
        target = search.random_result(given, generator)
        if not 0 < target <= MOST_TARGET or is_held_out(given, target) != held_out:
            continue
        key = (tuple(sorted(given)), target) if held_out else tries
        found.setdefault(key, Countdown(tuple(given), target))
        if len(found) == count:
            return list(islice(found.values(), count))
    raise ConfigError(
        _(
            "there are fewer than {count} different problems with {numbers} numbers "
            "up to {largest}: ask for fewer, or for larger numbers.",
            count=count,
            numbers=numbers,
            largest=largest,
        )
    )


def is_held_out(numbers: list[int] | tuple[int, ...], target: int) -> bool:
    """Whether this problem is for tests only: one in twenty."""
    given = " ".join(map(str, sorted(numbers)))
    return puzzles.is_held_out("numbers", f"{given} {target}")
