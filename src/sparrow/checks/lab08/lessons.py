"""Exercises 8.1 and 8.2: guess what teaching brings; then keep what is right."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.distill import sampler
from sparrow.language import _

__all__ = ["CHECKS"]

RIGHT, ONCE, FEW = "only what is right", "each text once", "not too many"
Row = list[tuple[str, float]]  # what a teacher wrote to one question, and its reward


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Right, wrong and half-right answers, some twice, some too many."""

    def case(name: str, group: str, rows: list[Row], most: int) -> Case:
        most_told = max(map(len, rows))
        rows = [row + [("wrong", 0.0)] * (most_told - len(row)) for row in rows]
        inputs: dict[str, Plain] = {
            "questions": [f"question {place}" for place in range(len(rows))],
            "texts": [[text for text, _reward in row] for row in rows],
            "rewards": [[reward for _text, reward in row] for row in rows],
            "most": most,
        }
        return Case(name, group, inputs)

    mixed: Row = [("no", 0.0), ("yes", 1.0), ("also", 1.0), ("nearly", 0.5)]
    twice: Row = [("b", 1.0), ("no", 0.0), ("b", 1.0), ("a", 1.0)]
    long: Row = [(word, 1.0) for word in ("fig", "banana", "an apple", "e", "d")]
    found = [
        case("right and wrong", RIGHT, [mixed, [("x", 0.0)], [("y", 1.0)]], 9),
        case("none right", RIGHT, [[("x", 0.0), ("y", 0.5)], [("z", 0.25)]], 9),
        case("one text twice", ONCE, [twice, [("c", 1.0)]], 9),
        case("one text, two questions", ONCE, [[("a", 1.0)], [("a", 1.0)] * 3], 9),
        case("five right, keep two", FEW, [long, [("z", 1.0), ("y", 1.0)]], 2),
        case(
            "twice before others", FEW, [[("a", 1.0)] * 3 + [("b", 1.0)], [*mixed]], 2
        ),
        case("keep one", FEW, [[("no", 0.0), *long], twice], 1),
    ]
    if hidden:
        found += [
            case("drawn 1", RIGHT, some(generator, 1), 9),
            case("drawn 2", ONCE, some(generator, 3), 9),
            case("drawn 3", FEW, some(generator, 3), 2),
        ]
    return found


def some(generator: torch.Generator, times: int) -> list[Row]:
    """Four questions, answers with a few words, of each word up to `times`."""

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    rows = []
    for _question in range(4):
        words = [f"word {draw(0, 50)}" for _word in range(4)]
        judged = {word: (0.0, 0.5, 1.0, 1.0)[draw(0, 4)] for word in words}
        judged["last"] = 1.0
        told = [word for word in judged for _again in range(times)]
        order = torch.randperm(len(told), generator=generator).tolist()
        rows.append([(told[place], judged[told[place]]) for place in order])
    return rows


def expected(case: Case) -> Plain:
    """What the library keeps."""
    return drivers.drive("kept", sampler.keep_right, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same pairs in the same order."""
    assert isinstance(wanted, list)
    if not isinstance(actual, list):
        return compare_equal(actual, wanted)
    pairs = [each for each in actual if isinstance(each, list) and len(each) == 2]
    if len(pairs) < len(actual):
        return Verdict(
            False, _("Each lesson is a pair: the question, then the text of an answer.")
        )
    if actual == wanted:
        return Verdict(True)
    for message, mistake in causes():
        if actual == mistake(**case.inputs) != wanted:
            return Verdict(False, message)
    if sorted(map(str, actual)) == sorted(map(str, wanted)):
        return Verdict(False, _("These are the right ones in another order."))
    return compare_equal(actual, wanted)


def of(choose: Callable[[Row, int], Iterable[str]]) -> Callable[..., Any]:
    """A mistake that keeps what `choose` takes from each row."""

    def mistake(
        questions: list[str],
        texts: list[list[str]],
        rewards: list[list[float]],
        most: int,
    ) -> list[list[str]]:
        return [
            [question, text]
            for question, row, earned in zip(questions, texts, rewards, strict=True)
            for text in choose(list(zip(row, earned, strict=True)), most)
        ]

    return mistake


def causes() -> Causes:
    """What each likely mistake keeps."""

    def right(row: Row) -> list[str]:
        return [text for text, reward in row if reward == 1]

    def once(texts: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(texts))

    keep = of(lambda row, most: once(right(row))[:most])

    return [
        (
            _("Wrong answers are kept, too."),
            of(lambda row, most: once(text for text, _reward in row)[:most]),
        ),
        (
            _("Half right is not right: only a reward of 1 counts."),
            of(lambda row, most: once(t for t, reward in row if reward)[:most]),
        ),
        (
            _("The wrong ones are kept, and the right ones thrown away."),
            of(lambda row, most: once(t for t, reward in row if reward != 1)[:most]),
        ),
        (
            _("The same text is kept more than once."),
            of(lambda row, most: right(row)[:most]),
        ),
        (
            _("Too many of one problem are kept: at most `most`."),
            of(lambda row, _most: once(right(row))),
        ),
        (
            _("Cut after removing what comes twice, not before."),
            of(lambda row, most: once(right(row)[:most])),
        ),
        (
            _("Cut after choosing what is right, not before."),
            of(lambda row, most: once(right(row[:most]))),
        ),
        (
            _("The first right ones are kept: these are the last."),
            of(lambda row, most: once(right(row))[-most:]),
        ),
        (
            _("The first right ones are kept, whatever their length."),
            of(lambda row, most: sorted(once(right(row)), key=len)[:most]),
        ),
        (
            _("Keep the order in which they came: a set forgets it."),
            of(lambda row, most: sorted(once(right(row)))[:most]),
        ),
        (
            _("`most` is a number for each problem, not for all together."),
            lambda most, **others: keep(most=most, **others)[:most],
        ),
        (
            _("`most` is the number to keep: this is one less."),
            of(lambda row, most: once(right(row))[: most - 1]),
        ),
        (
            _("Another problem may have the same text: look for it in one problem."),
            lambda **inputs: list(
                {text: [asked, text] for asked, text in keep(**inputs)[::-1]}.values()
            )[::-1],
        ),
    ]


CHECKS = {
    "8.1": guess_check("8.1", "how many of 100", lambda: _("problems of 100")),
    "8.2": Check(
        exercise="8.2",
        solution="sparrow.distill.sampler:keep_right",
        groups={RIGHT: 0.35, ONCE: 0.3, FEW: 0.35},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="kept",
    ),
}
