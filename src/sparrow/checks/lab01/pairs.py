"""Exercise 1.2: count neighbours, as often as their word occurs."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations, pairwise
from typing import Any

import torch

from sparrow.checks import drivers
from sparrow.checks.lab01.drawn import drawn_ids, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.text import bpe

__all__ = ["CHECKS"]

ONCE, OFTEN = "words that occur once", "words that occur often"
TWICE = "a pair twice in a word"
Words = list[tuple[list[int], int]]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Few words, many words, pairs that come again, and words without a pair."""

    def case(name: str, group: str, words: Words) -> Case:
        told: list[Plain] = [[list(ids), times] for ids, times in words]
        return Case(name, group, {"words": told})

    found = [
        case("three words", ONCE, [([1, 2, 3], 1), ([3, 2, 1], 1), ([2, 3], 1)]),
        case("one letter", ONCE, [([5], 1), ([5, 6], 1)]),
        case("no words", ONCE, []),
        case("often", OFTEN, [([1, 2, 3], 7), ([2, 3, 4], 5), ([9], 40)]),
        case("again", TWICE, [([1, 2, 1, 2], 3), ([4, 1, 2], 1)]),
        case("all alike", TWICE, [([7, 7, 7, 7], 2), ([7, 7, 7], 1)]),
    ]
    if hidden:
        for number in range(3):
            words = {
                tuple(drawn_ids(generator, some(generator, 1, 7), 5)): some(
                    generator, 1, 9
                )
                for _word in range(8)
            }
            drawn = [(list(ids), times) for ids, times in words.items()]
            drawn.append(([311, 312, 311, 312], 2 + number))
            found.append(case(f"drawn {number}", TWICE, drawn))
            ladder = list(range(400, 400 + some(generator, 2, 6)))
            found.append(case(f"ladder {number}", OFTEN, [(ladder, 3 + number)]))
    return found


def expected(case: Case) -> Plain:
    """What the library counts."""
    return drivers.drive("pairs_counted", bpe.count_pairs, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same counts; zeros may be left out."""
    found = counts_of(actual)
    if isinstance(found, str):
        return Verdict(False, found)
    right = counts_of(wanted)
    assert isinstance(right, Counter)
    if found == right:  # a Counter counts what is not there as zero
        return Verdict(True)
    for message, mistake in causes():
        wrong = mistake(case.inputs["words"])
        if wrong == found and wrong != right:
            return Verdict(False, message)
    if missing := set(right) - set(found):
        return Verdict(False, _("{n} pairs are missing.", n=len(missing)))
    if more := set(found) - set(right):
        return Verdict(False, _("{n} pairs stand nowhere in the words.", n=len(more)))
    return Verdict(False, _("All pairs are there, but a number is wrong."))


def counts_of(actual: Plain) -> Counter[tuple[int, int]] | str:
    """The driver's answer as counts; or what is wrong with it."""
    if actual is None:
        return _("The result is None: is a return missing?")
    if not isinstance(actual, dict) or not isinstance(actual.get("pairs"), list):
        return _("The result is no Counter from pairs to numbers.")
    found: Counter[tuple[int, int]] = Counter()
    pairs: Any = actual["pairs"]
    for pair, times in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            return _("A key is no pair: each is a tuple of two ids.")
        if type(times) is not int:
            return _("A count must be a whole number.")
        found[pair[0], pair[1]] = times
    return found


def causes() -> list[tuple[str, Callable[[Any], Counter[tuple[int, int]]]]]:
    """What each likely mistake counts."""

    def of(
        pairs: Callable[[list[int]], Iterable[Any]], weigh: bool = True
    ) -> Callable[[Any], Counter[Any]]:
        def mistake(words: Any) -> Counter[Any]:
            found: Counter[Any] = Counter()
            for ids, times in words:
                for pair in pairs(ids):
                    found[pair] += times if weigh else 1
            return found

        return mistake

    def across(words: Any) -> Counter[Any]:
        return Counter(pairwise([each for ids, _times in words for each in ids]))

    def last(words: Any) -> Counter[Any]:
        return Counter({pair: times for ids, times in words for pair in pairwise(ids)})

    return [
        (
            _("A word that occurs 7 times counts 7 times: use its number."),
            of(pairwise, weigh=False),
        ),
        (
            _("A pair may stand twice in a word: then it counts twice."),
            of(lambda ids: set(pairwise(ids))),
        ),
        (
            _("A pair may stand twice in a word: then it counts twice."),
            of(without_overlaps),
        ),
        (
            _("The order matters: (1, 2) and (2, 1) are two pairs."),
            of(lambda ids: (tuple(sorted(pair)) for pair in pairwise(ids))),
        ),
        (
            _("Only neighbours make a pair, not any two ids of a word."),
            of(lambda ids: combinations(ids, 2)),
        ),
        (
            _("The last pair of each word is missing."),
            of(lambda ids: list(pairwise(ids))[:-1]),
        ),
        (
            _("The pairs overlap: (a, b) and (b, c) are both in a b c."),
            of(lambda ids: zip(ids[::2], ids[1::2], strict=False)),
        ),
        (_("The end of a word and the start of the next are no pair."), across),
        (_("A later word overwrites the count: add to it."), last),
    ]


def without_overlaps(ids: list[int]) -> list[tuple[int, int]]:
    """`aaa` holds the pair `aa` once only, if read in steps."""
    found: list[tuple[int, int]] = []
    place = 0
    while place + 1 < len(ids):
        same = ids[place] == ids[place + 1]
        found.append((ids[place], ids[place + 1]))
        place += 2 if same else 1
    return found


CHECKS = {
    "1.2": Check(
        exercise="1.2",
        solution="sparrow.text.bpe:count_pairs",
        groups={ONCE: 0.4, OFTEN: 0.3, TWICE: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="pairs_counted",
    )
}
