"""Number facts such as 12+7=19; a fact held out for tests is never met in training.

Whole numbers from 0 to 999, mostly below 100. One line is

    a fact          12+7=19    56-19=37    7*8=56    56/7=8
    a chain         3+4=7,7*5=35
    a comparison    7<12    12>7    12=12

A fact belongs to one side of the split by a hash of its operator and its two numbers,
whatever their order: 7+12 is held out where 12+7 is. The seed has no part in it, so
every model is tested on facts that none has seen. Facts of two one-digit numbers are
never held out: all others are computed with them. 12+7=19 and 19-7=12 are two facts.
"""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from sparrow.data.lines import drawn, in_documents

__all__ = ["OPERATORS", "combine", "documents", "facts_of", "is_held_out", "lines"]

OPERATORS = "+-*/"
COMPARE = 4  # what stands for a comparison in the hash
LIMIT = 999
HELD_OUT_ONE_IN = 20
LINES_PER_DOCUMENT = 16
SHARES = {"fact": 0.65, "chain": 0.2, "comparison": 0.15}


def is_held_out(operator: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Whether these facts are for tests only: one in twenty.

    Args:
        operator: its place in `OPERATORS`, or 4 for a comparison.
        a: one number; b: the other. Their order has no effect.

    Shapes:
        all [N]; returns bool [N].
    """
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    mixed = (operator * 1000 + low) * 1000 + high + 1
    for factor in (0x9E3779B1, 0x85EBCA6B):  # odd: multiplying loses nothing
        mixed = (mixed * factor) & 0xFFFFFFFF
        mixed = mixed ^ (mixed >> 15)
    return (mixed % HELD_OUT_ONE_IN == 0) & (high > 9)


def combine(operator: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The result of each operation, and whether it is a whole number in 0..999.

    Shapes:
        all [N]; returns [N] and bool [N].
    """
    by = b.clamp(min=1)  # dividing by 0 is not legal, below
    result = torch.stack([a + b, a - b, a * b, a // by])
    chosen = result.gather(0, operator[None])[0]
    divides = (operator != 3) | ((b > 0) & (a % by == 0))
    return chosen, divides & (chosen >= 0) & (chosen <= LIMIT)


def lines(generator: torch.Generator, count: int, *, held_out: bool) -> list[str]:
    """About `count` lines, shuffled; from one side of the split only.

    A chain for training has no held-out fact in it; one for tests has at least one.
    Training meets a fact many times; tests ask for each once.
    """
    makers = {"fact": _facts, "chain": _chains, "comparison": _comparisons}
    return drawn(
        {
            kind: partial(maker, generator, held_out=held_out)
            for kind, maker in makers.items()
        },
        SHARES,
        count,
        generator=generator,
        tries=40 if held_out else 2,  # for tests one draw in twenty is taken
        each_once=held_out,
    )


def documents(
    generator: torch.Generator, size: int, *, held_out: bool
) -> Iterator[str]:
    """About `size` bytes of text: documents of 16 lines.

    Lines of one document have nothing to do with each other; together they waste
    less than a document a fact would.
    """
    made = lines(generator, size // 9, held_out=held_out)  # a line has about 10 bytes
    return in_documents(made, LINES_PER_DOCUMENT, size)


def facts_of(line: str) -> list[str]:
    """The facts of a line, each in the form that it shares with its mirror image.

    `7+12=19` and `12+7=19` both become `7+12`.
    """
    found = []
    for part in line.rpartition(": ")[2].split(","):
        for operator in "+-*/<>=":
            left, there, right = part.partition(operator)
            right = right.partition("=")[0]
            if there and left.isdigit() and right.isdigit():
                low, high = sorted((int(left), int(right)))
                found.append(f"{low}{operator if operator in OPERATORS else '?'}{high}")
                break
    return found


def _numbers(generator: torch.Generator, count: int) -> Tensor:
    """Mostly 0..99, and one in eight from 0..999."""
    high = torch.where(torch.rand(count, generator=generator) < 0.125, 1000.0, 100.0)
    return (torch.rand(count, generator=generator) * high).long()


def _operators(generator: torch.Generator, count: int) -> Tensor:
    return torch.randint(0, 4, (count,), generator=generator)


def _operands(generator: torch.Generator, operator: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers for each operator, such that most results are legal."""
    count = len(operator)
    a, b = _numbers(generator, count), _numbers(generator, count)
    small = torch.randint(0, 13, (count,), generator=generator)
    b = torch.where(operator >= 2, small, b)
    # subtract the smaller from the larger; divide a product by its factor
    a, b = (
        torch.where(operator == 1, torch.maximum(a, b), a),
        torch.where(operator == 1, torch.minimum(a, b), b),
    )
    a = torch.where(operator == 3, a * b, a)
    swap = (operator == 2) & (torch.rand(count, generator=generator) < 0.5)
    return torch.where(swap, b, a), torch.where(swap, a, b)


def _facts(generator: torch.Generator, count: int, held_out: bool) -> list[str]:
    operator = _operators(generator, count)
    a, b = _operands(generator, operator)
    result, legal = combine(operator, a, b)
    keep = legal & (is_held_out(operator, a, b) == held_out) & (a <= LIMIT)
    return [
        f"{x}{OPERATORS[o]}{y}={z}"
        for o, x, y, z in _rows(keep, operator, a, b, result)
    ]


def _chains(generator: torch.Generator, count: int, held_out: bool) -> list[str]:
    """Two steps: the second goes on with the result of the first."""
    first, second = _operators(generator, count), _operators(generator, count)
    a, b = _operands(generator, first)
    middle, legal = combine(first, a, b)
    _other, c = _operands(generator, second)
    result, legal_too = combine(second, middle, c)
    for_tests = is_held_out(first, a, b) | is_held_out(second, middle, c)
    keep = legal & legal_too & (for_tests == held_out) & (a <= LIMIT)
    return [
        f"{u}{OPERATORS[o]}{v}={w},{w}{OPERATORS[p]}{x}={y}"
        for o, u, v, w, p, x, y in _rows(keep, first, a, b, middle, second, c, result)
    ]


def _comparisons(generator: torch.Generator, count: int, held_out: bool) -> list[str]:
    a, b = _numbers(generator, count), _numbers(generator, count)
    near = torch.rand(count, generator=generator) < 0.1  # else they are rarely equal
    b = torch.where(near, a, b)
    keep = is_held_out(torch.full_like(a, COMPARE), a, b) == held_out
    return [
        f"{x}{'<' if x < y else '>' if x > y else '='}{y}" for x, y in _rows(keep, a, b)
    ]


def _rows(keep: Tensor, *columns: Tensor) -> list[list[int]]:
    """The rows of a table that are kept, as plain numbers."""
    return torch.stack(columns, dim=1)[keep].tolist()
