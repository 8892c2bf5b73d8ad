"""Exercise 8.3: a test's problem is found, however it is written."""

from collections.abc import Callable, Sequence

import torch

from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.data import countdown
from sparrow.distill import sampler
from sparrow.language import _
from sparrow.verify import Countdown

__all__ = ["CHECKS"]

TESTS, STRANGE = "tests, in any order", "what is no such question"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Problems of both sides in every order; then words that only look like one."""
    fixed = torch.Generator().manual_seed(8)
    found = [
        *_written("three numbers", fixed, 3),
        *_written("two numbers", fixed, 2),
        *_written("four numbers", fixed, 4),
        Case("no question", STRANGE, _asked(_strange(fixed))),
    ]
    if hidden:
        found += [
            *_written("drawn 1", generator, 3),
            *_written("drawn 2", generator, 5),
            Case("drawn 3", STRANGE, _asked(_strange(generator))),
        ]
    return found


def _asked(questions: Sequence[str]) -> dict[str, Plain]:
    return {"questions": list(questions)}


def _written(name: str, generator: torch.Generator, numbers: int) -> list[Case]:
    """Two problems of each side, as they are drawn, turned round and sorted."""
    both = [
        each
        for held_out in (True, False)
        for each in _drawn(generator, numbers, held_out)
    ]
    orders: dict[str, Callable[[list[int]], list[int]]] = {
        "as drawn": lambda given: given,
        "turned round": lambda given: given[::-1],
        "sorted": sorted,
    }
    return [
        Case(
            f"{name}, {order}",
            TESTS,
            _asked([_question(turn([*each.numbers]), each.target) for each in both]),
        )
        for order, turn in orders.items()
    ]


def _drawn(generator: torch.Generator, numbers: int, held_out: bool) -> list[Countdown]:
    return countdown.problems(
        generator, 2, numbers=numbers, largest=12, held_out=held_out
    )


def _question(numbers: Sequence[int], target: int, word: str = "numbers") -> str:
    return f"{word} {' '.join(map(str, numbers))} target {target}"


def _strange(generator: torch.Generator) -> list[str]:
    """A test, with spaces; the same in other words; and broken questions."""
    (test, other) = _drawn(generator, 3, held_out=True)
    plain = _question(test.numbers, test.target)
    return [
        plain.replace(" ", "  ") + " ",
        _question(test.numbers, test.target, word="sort"),
        plain.partition(" target")[0],
        plain.rpartition(" ")[0],
        _question(other.numbers, other.target),
        plain.replace("numbers", "numbers a"),
        _lonely(),
        "",
        "numbers",
        "target numbers",
    ]


def _lonely() -> str:
    """A target without numbers that the split would call a test."""
    target = next(each for each in range(1000) if countdown.is_held_out([], each))
    return f"numbers target {target}"


def expected(case: Case) -> Plain:
    """What the library says of each question."""
    questions = case.inputs["questions"]
    assert isinstance(questions, list)
    return [sampler.is_leak(str(each)) for each in questions]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """True and False, for each question."""
    if isinstance(actual, list) and not all(isinstance(one, bool) for one in actual):
        return Verdict(False, _("Return True or False for a question."))
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


def causes() -> Causes:
    """What each likely mistake says."""

    def of(say: Callable[[str], bool]) -> Callable[..., list[bool]]:
        return lambda questions: [say(each) for each in questions]

    def numbers_of(question: str) -> list[int]:
        return [int(word) for word in question.split() if word.isdecimal()]

    def all_words(question: str) -> bool:
        found = numbers_of(question)
        return len(found) > 1 and countdown.is_held_out(found[:-1], found[-1])

    def lonely(question: str) -> bool:
        found = numbers_of(question)
        return "target" in question and (
            sampler.is_leak(question)
            or (len(found) == 1 and countdown.is_held_out([], found[0]))
        )

    return [
        (
            _("It is turned round: True means that a question belongs to the tests."),
            of(lambda question: not sampler.is_leak(question)),
        ),
        (_("Nothing is ever found."), of(lambda _question: False)),
        (_("Everything is called a leak."), of(lambda _question: True)),
        (
            _("A question of another kind, or without its words, is nobody's test."),
            of(all_words),
        ),
        (
            _("A question without numbers is nobody's test."),
            of(lonely),
        ),
    ]


CHECKS = {
    "8.3": Check(
        exercise="8.3",
        solution="sparrow.distill.sampler:is_leak",
        groups={TESTS: 0.65, STRANGE: 0.35},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="asked_each",
    )
}
