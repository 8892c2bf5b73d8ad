"""Five families of tiny puzzles, each with problems that training never meets.

    next 3 6 9 12: 15                                     go on with a sequence
    sort 9 4 7: 4 7 9                                     put in order
    reverse 4 9 1: 1 9 4                                  turn round
    largest 12 45 7: 45                                   find the largest
    numbers 3 7 8 target 29: 3*7=21,21+8=29               reach the target

Which side of the split a problem is on is a hash of what makes it this problem: its
numbers in whatever order, and the target or the step between terms. So `sort 9 4 7`
and `sort 7 4 9` are on one side. The steps of the last family use only facts that
`arithmetic` does not hold out, in its tests too: they ask for search, not for facts.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sparrow.data import arithmetic
from sparrow.data.lines import drawn, in_documents

__all__ = ["FAMILIES", "documents", "is_held_out", "lines"]

HELD_OUT_ONE_IN = 20
LINES_PER_DOCUMENT = 4
MOST_TARGET = 99
Puzzle = tuple[str, str]  # what makes it this problem; the line

SHARES = {"next": 0.15, "sort": 0.15, "reverse": 0.1, "largest": 0.1, "numbers": 0.5}


def is_held_out(family: str, problem: str) -> bool:
    """Whether this problem is for tests only: one in twenty."""
    digest = hashlib.sha256(f"{family} {problem}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def lines(generator: torch.Generator, count: int, *, held_out: bool) -> list[str]:
    """About `count` lines, shuffled; from one side of the split only.

    Training may meet a problem several times; tests ask for each line once.
    """

    def draw(family: str, tries: int) -> list[str]:
        return [
            line
            for problem, line in FAMILIES[family](generator, tries)
            if is_held_out(family, problem) == held_out
        ]

    return drawn(
        {family: partial(draw, family) for family in FAMILIES},
        SHARES,
        count,
        generator=generator,
        tries=22 if held_out else 1,  # for tests one problem in twenty is taken
        each_once=held_out,
    )


def documents(
    generator: torch.Generator, size: int, *, held_out: bool
) -> Iterator[str]:
    """About `size` bytes of text: documents of 4 puzzles."""
    made = lines(generator, size // 30, held_out=held_out)  # a line has about 35 bytes
    return in_documents(made, LINES_PER_DOCUMENT, size)


def _lists(generator: torch.Generator, count: int) -> list[list[int]]:
    """Lists of 3 to 6 numbers from 0 to 99."""
    sizes = torch.randint(3, 7, (count,), generator=generator).tolist()
    numbers = torch.randint(0, 100, (count, 6), generator=generator).tolist()
    return [row[:size] for row, size in zip(numbers, sizes, strict=True)]


def _text(numbers: list[int]) -> str:
    return " ".join(map(str, numbers))


def _next(generator: torch.Generator, count: int) -> list[Puzzle]:
    """Equal steps up or down, or doubling."""
    start = torch.randint(0, 100, (count,), generator=generator)
    step = torch.randint(-12, 13, (count,), generator=generator)
    terms = start[:, None] + step[:, None] * torch.arange(5)
    doubled = (1 + start % 15)[:, None] * 2 ** torch.arange(5)
    kind = torch.rand(count, generator=generator) < 0.1
    terms = terms.where(~kind[:, None], doubled)
    legal = (terms >= 0).all(dim=1)
    return [
        (_text(row), f"next {_text(row[:-1])}: {row[-1]}")
        for row in terms[legal].tolist()
    ]


def _sort(generator: torch.Generator, count: int) -> list[Puzzle]:
    return [
        (_text(sorted(row)), f"sort {_text(row)}: {_text(sorted(row))}")
        for row in _lists(generator, count)
    ]


def _reverse(generator: torch.Generator, count: int) -> list[Puzzle]:
    return [
        (_text(min(row, row[::-1])), f"reverse {_text(row)}: {_text(row[::-1])}")
        for row in _lists(generator, count)
    ]


def _largest(generator: torch.Generator, count: int) -> list[Puzzle]:
    return [
        (_text(sorted(row)), f"largest {_text(row)}: {max(row)}")
        for row in _lists(generator, count)
    ]


def _numbers(generator: torch.Generator, count: int) -> list[Puzzle]:
    """Reach a target with three or four numbers from 1 to 12, each used once."""
    found: list[Puzzle] = []
    for size, share in ((3, 2), (4, 1)):  # a third of the work goes to four numbers
        drawn = count * share // 3 * 6 + 6  # about one in six can be used
        given = torch.randint(1, 13, (drawn, size), generator=generator)
        steps, keep = _steps(generator, given)
        shown = given.gather(1, _shuffles(generator, given))
        for row, parts in zip(shown[keep].tolist(), steps[keep].tolist(), strict=True):
            told = ",".join(
                f"{a}{arithmetic.OPERATORS[o]}{b}={c}" for o, a, b, c in parts
            )
            target = parts[-1][-1]
            problem = f"{_text(sorted(row))} {target}"
            found.append((problem, f"numbers {_text(row)} target {target}: {told}"))
    order = torch.randperm(len(found), generator=generator).tolist()
    return [found[place] for place in order[:count]]


def _steps(generator: torch.Generator, given: Tensor) -> tuple[Tensor, Tensor]:
    """Random operations that use up the numbers from left to right.

    Shapes:
        given: [N, S]; returns [N, S - 1, 4] (operator, a, b, result) and bool [N].
    """
    reached = given[:, 0]
    keep = torch.ones(len(given), dtype=torch.bool)
    steps = []
    for place in range(1, given.shape[1]):
        operator = torch.randint(0, 4, (len(given),), generator=generator)
        swap = torch.rand(len(given), generator=generator) < 0.5
        a = torch.where(swap, given[:, place], reached)
        b = torch.where(swap, reached, given[:, place])
        reached, legal = arithmetic.combine(operator, a, b)
        keep &= legal & ~arithmetic.is_held_out(operator, a, b)
        steps.append(torch.stack([operator, a, b, reached], dim=1))
    keep &= (reached > 0) & (reached <= MOST_TARGET)
    return torch.stack(steps, dim=1), keep


def _shuffles(generator: torch.Generator, like: Tensor) -> Tensor:
    """A random order for each row."""
    return torch.rand(like.shape, generator=generator).argsort(dim=1)


FAMILIES: dict[str, Callable[[torch.Generator, int], list[Puzzle]]] = {
    "next": _next,
    "sort": _sort,
    "reverse": _reverse,
    "largest": _largest,
    "numbers": _numbers,
}
