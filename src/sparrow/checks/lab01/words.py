"""Exercise 1.5: a word is joined in the order in which the joins were learned."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import compare_equal
from sparrow.checks.lab01.drawn import drawn_text, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.text import bpe

__all__ = ["CHECKS"]

ORDER, AGAIN = "what was learned first", "the same pair again"
EDGES, NUMBERS = "nothing to join", "ids that do not rise"
# a b | c d | ab c | b cd | a bcd | b c: on abcd, each likely mistake differs
JOINS = [[1, 2, 10], [3, 4, 11], [10, 3, 12], [2, 11, 13], [1, 13, 14], [2, 3, 15]]
# the ids of another vocabulary: the last join has a small id, but not a small rank
FALLING = [[2, 3, 10], [1, 2, 11], [11, 3, 14], [10, 4, 13], [1, 10, 12]]
PAIRS = [[5, 5, 20], [20, 20, 21], [20, 6, 22]]
# `b c d` is the longest token, but `a b` was learned first
LONG = [[1, 2, 11], [2, 3, 10], [10, 4, 13], [3, 4, 12]]
Joins = list[list[int]]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Joins that compete, joins that come again, and words without any."""

    def case(name: str, group: str, word: Sequence[int], joins: Joins) -> Case:
        told: list[Plain] = [list(each) for each in joins]
        return Case(name, group, {"word": [*word], "joins": told})

    found = [
        case("abcd", ORDER, [1, 2, 3, 4], JOINS),
        case("a longer token waits", ORDER, [1, 2, 3, 4], LONG),
        case("it does not begin at the left", ORDER, [2, 2, 3, 3, 4], JOINS),
        case("five alike", AGAIN, [5, 5, 5, 5, 5], PAIRS),
        case("twice", AGAIN, [5, 5, 6, 1, 5, 5, 6], PAIRS),
        case("strangers", EDGES, [7, 8, 9], JOINS),
        case("one byte", EDGES, [1], JOINS),
        case("no byte", EDGES, [], JOINS),
        case("no joins", EDGES, [1, 2, 3], []),
        case("a small id comes last", NUMBERS, [1, 2, 3, 4], FALLING),
    ]
    if hidden:
        text = drawn_text(generator, 80, "abcde").encode()
        learned = bpe.train(text, bpe.FIRST_BYTE + 256 + 14).merges
        joins = [[*pair, new] for pair, new in learned.items()]
        for number in range(4):
            word = drawn_text(generator, some(generator, 2, 3), "abcde")
            ids = bpe.to_ids(word.replace(" ", "").encode())
            found.append(case(f"drawn {number}", ORDER, ids, joins))
        shift = some(generator, 30, 90)
        moved = {name: _moved(each, shift) for name, each in _TABLES.items()}
        abcd = [each + shift for each in (1, 2, 3, 4)]
        found += [
            case("moved", ORDER, abcd, moved["joins"]),
            case("moved, long", ORDER, abcd, moved["long"]),
            case("a run", AGAIN, [5 + shift] * 9 + [6 + shift], moved["pairs"]),
            case("moved, falling", NUMBERS, abcd, moved["falling"]),
            case("moved, stranger", EDGES, [9 + shift, 9 + shift], moved["joins"]),
        ]
    return found


_TABLES = {"joins": JOINS, "falling": FALLING, "pairs": PAIRS, "long": LONG}


def _moved(joins: Joins, shift: int) -> Joins:
    return [[each + shift for each in join] for join in joins]


def expected(case: Case) -> Plain:
    """What the library gives."""
    return drivers.drive("word_encoded", bpe.encode_word, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same ids."""
    for message, mistake in causes():
        wrong = mistake(**case.inputs)
        if actual is not None and actual == wrong and wrong != wanted:
            return Verdict(False, message)
    return compare_equal(actual, wanted)


def causes() -> list[tuple[str, Callable[..., list[int]]]]:
    """What each likely mistake gives."""
    Merges = dict[tuple[int, int], int]

    def by(
        choose: Callable[[list[tuple[int, int]], Merges], tuple[int, int]],
        rounds: int = 1000,
    ) -> Callable[..., list[int]]:
        def mistake(word: Any, joins: Joins) -> list[int]:
            merges = {(first, second): new for first, second, new in joins}
            ids = tuple(word)
            for _round in range(rounds):
                there = [pair for pair in pairwise(ids) if pair in merges]
                if not there:
                    break
                pair = choose(there, merges)
                ids = bpe.join(ids, pair, merges[pair])
            return list(ids)

        return mistake

    def rank(merges: Merges) -> dict[tuple[int, int], int]:
        return {pair: place for place, pair in enumerate(merges)}

    def one_pass(word: Any, joins: Joins) -> list[int]:
        ids = tuple(word)
        if len(ids) > 1:
            merges = {(first, second): new for first, second, new in joins}
            pair = min(
                pairwise(ids), key=lambda pair: rank(merges).get(pair, len(merges))
            )
            if pair in merges:
                ids = bpe.join(ids, pair, merges[pair])
        return list(ids)

    return [
        (
            _("This takes the longest token: take the join that was learned first."),
            longest,
        ),
        (
            _("This joins from left to right: take what was learned first."),
            by(lambda there, merges: there[0]),
        ),
        (
            _("This takes what was learned last: the first has priority."),
            by(lambda there, merges: max(there, key=rank(merges).__getitem__)),
        ),
        (
            _("This takes the smallest new id: the order of `merges` counts."),
            by(lambda there, merges: min(there, key=merges.__getitem__)),
        ),
        (
            _("This takes the pair that is there most often: this is not training."),
            by(
                lambda there, merges: min(
                    there, key=lambda pair: (-Counter(there)[pair], rank(merges)[pair])
                )
            ),
        ),
        (_("After a join, others become possible: go on until none is."), one_pass),
        (
            _("Nothing was joined."),
            lambda word, joins: list(word),
        ),
    ]


def longest(word: Any, joins: Joins) -> list[int]:
    """Cut off the longest known token at the left, again and again."""
    spelled: dict[int, tuple[int, ...]] = {}
    for first, second, new in joins:
        spelled[new] = spelled.get(first, (first,)) + spelled.get(second, (second,))
    found: list[int] = []
    place = 0
    while place < len(word):
        fits = [
            (len(bytes_of), -new)
            for new, bytes_of in spelled.items()
            if tuple(word[place : place + len(bytes_of)]) == bytes_of
        ]
        length, number = max(fits, default=(1, -word[place]))
        found.append(-number)
        place += length
    return found


CHECKS = {
    "1.5": Check(
        exercise="1.5",
        solution="sparrow.text.bpe:encode_word",
        groups={ORDER: 0.5, AGAIN: 0.2, EDGES: 0.15, NUMBERS: 0.15},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="word_encoded",
    )
}
