"""Exercise 3.2: a case in which a closed group wins, because closed means zero."""

from typing import Any

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.language import _

__all__ = ["CHECKS"]

VALID, DIFFERENT = "a valid example", "a closed expert is chosen"
NAMES, EXPERTS = ("scores", "bias"), 4
CLOSE = 1e-9


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """First: is it an example? Then: does it break the short cut?"""
    return [Case("your example", group, {}) for group in (VALID, DIFFERENT)]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Choose with both; if they agree, say which part of the example hides it."""
    if wrong := malformed(actual):
        return Verdict(False, wrong)
    if case.group == VALID:
        return Verdict(True)
    assert isinstance(actual, dict)
    given: dict[str, Any] = actual
    if message := why_equal(given["scores"], given["bias"]):
        return Verdict(False, message)
    return Verdict(True)


def malformed(actual: Plain) -> str:
    """What keeps the example from being computed, or nothing."""
    if not isinstance(actual, dict) or set(actual) != set(NAMES):
        return _(
            "counterexample is a dictionary with exactly these names: {names}.",
            names=", ".join(NAMES),
        )
    for name, low in (("scores", 0), ("bias", -1)):
        numbers = actual[name]
        if not isinstance(numbers, list) or len(numbers) != EXPERTS:
            return _("{name} has four numbers, one for each expert.", name=name)
        for each in numbers:
            if not is_number(each) or not low < each < 1:
                return _(
                    "{name} holds numbers between {low} and 1; got {got}.",
                    name=name,
                    low=low,
                    got=kind_of(each),
                )
    scores, bias = actual["scores"], actual["bias"]
    assert isinstance(scores, list)
    assert isinstance(bias, list)
    left, right = group_scores(scores, bias)
    if abs(left - right) < CLOSE:
        return _("Both groups are equally good: change a number, so that one is best.")
    return ""


def group_scores(scores: list[Any], bias: list[Any]) -> tuple[float, float]:
    """What the two groups are judged by: the sum of two experts each."""
    choice = [score + push for score, push in zip(scores, bias, strict=True)]
    return choice[0] + choice[1], choice[2] + choice[3]


def why_equal(scores: list[Any], bias: list[Any]) -> str:
    """The likeliest reason why both ways choose the same; empty if they do not."""
    left, right = group_scores(scores, bias)
    choice = [score + push for score, push in zip(scores, bias, strict=True)]
    open_ones, closed = (
        (choice[:2], choice[2:]) if left > right else (choice[2:], choice[:2])
    )
    if min(open_ones) < -CLOSE:
        return ""
    if min(bias) >= 0:
        return _(
            "Without a negative bias every sum is above 0, and no zero can win. Make "
            "a bias negative."
        )
    if min(closed) < 0:
        return _(
            "The negative sum is in the group that is closed. It must be in the one "
            "that stays open."
        )
    return _(
        "A bias is negative, but its score is large enough: their sum is not below 0. "
        "Which score must be small?"
    )


CHECKS = {
    "3.2": Check(
        exercise="3.2",
        solution=None,
        groups={VALID: 0.25, DIFFERENT: 0.75},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="value",
    )
}
