"""Exercise 1.3: one id in the place of two, from left to right."""

from collections.abc import Callable
from typing import Any

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import compare_equal
from sparrow.checks.lab01.drawn import drawn_ids, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.text import bpe

__all__ = ["CHECKS"]

APART, OVERLAP, EDGES = "pairs apart", "pairs that overlap", "the ends of a word"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One pair, several, `aaa`, and what has no pair at all."""

    def case(name: str, group: str, word: list[int], pair: tuple[int, int]) -> Case:
        told: list[Plain] = [*word]
        return Case(name, group, {"word": told, "pair": [*pair], "new": 900})

    found = [
        case("once", APART, [1, 2, 3, 4], (2, 3)),
        case("twice", APART, [1, 2, 3, 1, 2, 5], (1, 2)),
        case("the other way round", APART, [2, 1, 3, 1, 2, 4], (1, 2)),
        case("three alike", OVERLAP, [6, 6, 6], (6, 6)),
        case("five alike", OVERLAP, [1, 6, 6, 6, 6, 6, 2], (6, 6)),
        case("four alike", OVERLAP, [6, 6, 6, 6], (6, 6)),
        case("at the end", EDGES, [3, 1, 2], (1, 2)),
        case("nowhere", EDGES, [2, 1], (1, 2)),
        case("first of the pair at the end", EDGES, [1, 2, 1], (1, 2)),
        case("one id", EDGES, [1], (1, 1)),
        case("nothing", EDGES, [], (1, 2)),
    ]
    if hidden:
        for number in range(3):
            word = drawn_ids(generator, some(generator, 8, 16), 3)
            found.append(case(f"drawn {number}", APART, word, (300, 301)))
            run = [300] * (2 * some(generator, 1, 4) + 1)
            found.append(case(f"run {number}", OVERLAP, [301, *run], (300, 300)))
            end = [*drawn_ids(generator, 4, 2), 303, 304, 305, 303, 304]
            found.append(case(f"end {number}", EDGES, end, (303, 304)))
    return found


def expected(case: Case) -> Plain:
    """What the library joins."""
    return drivers.drive("joined", bpe.join, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same ids, in a tuple."""
    assert isinstance(wanted, dict)
    assert isinstance(actual, dict)
    verdict = compare_equal(
        actual["ids"], wanted["ids"], causes=causes(), inputs=case.inputs
    )
    said = explained(case, actual["ids"], wanted["ids"])
    if said:
        return Verdict(False, said)
    if verdict.passed and not actual["is_tuple"]:
        return Verdict(
            False, _("Return a tuple: a list cannot be a key when words are counted.")
        )
    return verdict


def explained(case: Case, ids: Plain, wanted: Plain) -> str:
    """A mistake that even gives another length."""
    for message, mistake in causes():
        if ids is not None and ids != wanted and mistake(**case.inputs) == ids:
            return message
    return ""


def causes() -> list[tuple[str, Callable[..., list[int]]]]:
    """What each likely mistake gives."""

    def scan(word: list[int], pair: list[int], new: int, step: Any) -> list[int]:
        found: list[int] = []
        place = 0
        while place < len(word):
            place = step(word, pair, new, place, found)
        return found

    def overlapping(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        if word[place : place + 2] == pair:
            found.append(new)
        elif place == 0 or word[place - 1 : place + 1] != pair:
            found.append(word[place])
        return place + 1

    def one_step(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        found.append(new if word[place : place + 2] == pair else word[place])
        return place + 1

    def unordered(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        here = sorted(word[place : place + 2]) == sorted(pair)
        found.append(new if here else word[place])
        return place + (2 if here else 1)

    def first_only(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        here = word[place : place + 2] == pair and new not in found
        found.append(new if here else word[place])
        return place + (2 if here else 1)

    def no_end(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        here = word[place : place + 2] == pair
        if here:
            found.append(new)
        elif place < len(word) - 1:
            found.append(word[place])
        return place + (2 if here else 1)

    def from_right(word: Any, pair: Any, new: int) -> list[int]:
        return scan(word[::-1], pair[::-1], new, proper)[::-1]

    def proper(word: Any, pair: Any, new: int, place: int, found: Any) -> int:
        here = word[place : place + 2] == pair
        found.append(new if here else word[place])
        return place + (2 if here else 1)

    def by(step: Any) -> Callable[..., list[int]]:
        return lambda word, pair, new: scan(word, pair, new, step)

    return [
        (_("Begin at the left: in a a a, the first two are joined."), from_right),
        (
            _("An id belongs to one pair only: after a join, step over both."),
            by(overlapping),
        ),
        (_("The second id of a pair is still there: step over both."), by(one_step)),
        (_("Every occurrence is joined, not only the first."), by(first_only)),
        (_("The order matters: (1, 2) is not (2, 1)."), by(unordered)),
        (_("The last id is lost when no pair ends there."), by(no_end)),
        (
            _("Nothing was joined: compare a tuple with a tuple."),
            lambda word, pair, new: list(word),
        ),
    ]


CHECKS = {
    "1.3": Check(
        exercise="1.3",
        solution="sparrow.text.bpe:join",
        groups={APART: 0.4, OVERLAP: 0.3, EDGES: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="joined",
    )
}
