"""Exercise 5.5: questions that only one of two models answers are tosses of a coin."""

import math
from collections.abc import Callable, Sequence

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.evaluate import paired
from sparrow.language import _

__all__ = ["CHECKS"]

COUNT, CHANCE, EQUAL = "who is right alone", "how likely by chance", "no difference"
RTOL = 1e-9


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One-sided, even, and none."""

    def case(group: str, only_a: int, only_b: int, both: int, none: int) -> Case:
        a = [True] * only_a + [False] * only_b + [True] * both + [False] * none
        b = [False] * only_a + [True] * only_b + [True] * both + [False] * none
        order = torch.randperm(len(a), generator=generator).tolist()
        inputs: dict[str, Plain] = {
            "a": [a[place] for place in order],
            "b": [b[place] for place in order],
        }
        return Case(f"{only_a} against {only_b}", group, inputs)

    found = [
        case(COUNT, 6, 1, 9, 4),
        case(COUNT, 2, 9, 0, 5),
        case(CHANCE, 6, 1, 9, 4),
        case(CHANCE, 3, 8, 20, 2),
        case(CHANCE, 1, 0, 3, 3),
        case(CHANCE, 40, 20, 100, 80),
        case(EQUAL, 0, 0, 5, 5),
        case(EQUAL, 4, 4, 2, 3),
    ]
    if hidden:
        for _round in range(3):
            more, fewer = torch.randint(3, 30, (2,), generator=generator).tolist()
            both, none = torch.randint(1, 60, (2,), generator=generator).tolist()
            found += [
                case(COUNT, more, fewer + 31, both, none),
                case(CHANCE, fewer, more + 31, both, none),
                case(EQUAL, more, more, both, none),
            ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return drivers.drive("record", paired.mcnemar, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """In its group the counts alone; elsewhere everything."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict) or set(actual) != set(wanted):
        return Verdict(
            False, _("Return a McNemar: only_a, only_b and the chance p_value.")
        )
    counts = [actual["only_a"], actual["only_b"]]
    right = [wanted["only_a"], wanted["only_b"]]
    if case.group == COUNT:
        if counts == right:
            return Verdict(True)
        if counts == right[::-1]:
            return Verdict(False, _("only_a and only_b are swapped."))
        a, b = case.inputs["a"], case.inputs["b"]
        assert isinstance(a, list)
        assert isinstance(b, list)
        if counts == [sum(map(bool, a)), sum(map(bool, b))]:
            return Verdict(
                False,
                _("These are all right answers: count those that the other missed."),
            )
        return compare_close(counts, right, rtol=0, atol=0)
    found = compare_close(actual["p_value"], wanted["p_value"], rtol=RTOL, atol=1e-15)
    if found.passed:
        return found
    for message, mistake in causes():
        # A mistake may exceed 1; whoever makes it may cut it there.
        wrong = mistake(right)
        for value in (wrong, min(1.0, wrong)):
            said = compare_close(actual["p_value"], value, rtol=RTOL, atol=1e-15)
            if said.passed and not math.isclose(value, float(str(wanted["p_value"]))):
                return Verdict(False, message)
    return found


def causes() -> list[tuple[str, Callable[[Sequence[Plain]], float]]]:
    """The chance that each likely mistake gives, from the two counts."""

    def numbers(counts: Sequence[Plain]) -> tuple[int, int]:
        pair = [each for each in counts if isinstance(each, int)]
        return pair[0] + pair[1], min(pair)

    def tail(counts: Sequence[Plain], sides: int, upto: int = 1) -> float:
        tosses, fewer = numbers(counts)
        ways = sum(math.comb(tosses, heads) for heads in range(fewer + upto))
        return sides * ways / 2**tosses

    def one(counts: Sequence[Plain]) -> float:
        tosses, fewer = numbers(counts)
        return 2 * math.comb(tosses, fewer) / 2**tosses

    def chi(counts: Sequence[Plain]) -> float:
        tosses, fewer = numbers(counts)
        distance = tosses - 2 * fewer
        return math.erfc(distance / math.sqrt(2 * tosses)) if tosses else 1.0

    return [
        (
            _("This is one side only: either model could have been the better one."),
            lambda counts: tail(counts, 1),
        ),
        (
            _("A chance is at most 1: where both are even, twice one side is more."),
            lambda counts: tail(counts, 2),
        ),
        (
            _("This counts exactly so many heads: fewer are more surprising still."),
            one,
        ),
        (
            _("The number that was seen is missing: so many heads, or fewer."),
            lambda counts: tail(counts, 2, 0),
        ),
        (
            _("This is an approximation for many questions: count the ways."),
            chi,
        ),
    ]


CHECKS = {
    "5.5": Check(
        exercise="5.5",
        solution="sparrow.evaluate.paired:mcnemar",
        groups={COUNT: 0.3, CHANCE: 0.5, EQUAL: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="record",
    )
}
