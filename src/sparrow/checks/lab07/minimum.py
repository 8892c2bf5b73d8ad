"""Exercise 7.3: a ratio and an advantage for which clipping alone goes wrong."""

import math

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.language import _

__all__ = ["CHECKS"]

VALID, DIFFERENT = "a valid example", "the minimum matters"
LOW, HIGH = 0.8, 1.2
NAMES = ("ratio", "advantage")


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """First: is it an example? Then: do both ways differ?"""
    return [Case("your example", group, {}) for group in (VALID, DIFFERENT)]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Compute both ways; if they agree, say what hides the difference."""
    if not isinstance(actual, dict) or set(actual) != set(NAMES):
        return Verdict(
            False,
            _(
                "counterexample is a dictionary with exactly these names: {names}.",
                names=", ".join(NAMES),
            ),
        )
    ratio, advantage = actual["ratio"], actual["advantage"]
    for name, each in (("ratio", ratio), ("advantage", advantage)):
        if not is_number(each) or not math.isfinite(each):
            return Verdict(
                False,
                _("{name} is one number; got {got}.", name=name, got=kind_of(each)),
            )
    assert is_number(ratio)
    assert is_number(advantage)
    if ratio <= 0:
        return Verdict(
            False, _("A ratio of two probabilities is above 0; got {got}.", got=ratio)
        )
    if case.group == VALID:
        return Verdict(True)
    return Verdict(not (message := why_equal(ratio, advantage)), message)


def why_equal(ratio: float, advantage: float) -> str:
    """Why both ways give the same; empty if they do not."""
    if LOW <= ratio <= HIGH:
        return _("From 0.8 to 1.2 nothing is clipped: take a ratio outside.")
    if advantage == 0:
        return _("Without an advantage every gain is 0: take another number.")
    if (ratio > HIGH) == (advantage < 0):
        return ""
    return _(
        "Here the clipped gain is the smaller one, so both agree. In which direction "
        "must the token have moved, that the other one is smaller?"
    )


CHECKS = {
    "7.3": Check(
        exercise="7.3",
        solution=None,
        groups={VALID: 0.25, DIFFERENT: 0.75},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="value",
    )
}
