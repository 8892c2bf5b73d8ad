"""Exercises 0.1 and 0.4: commit to a guess, and break a headline."""

import math

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.lab00.numbers import fields_of
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.cost import bill, published
from sparrow.language import _

__all__ = ["CHECKS"]

INSIDE, BROKEN = "inside the limits", "half the headline"
HALF_THE_HEADLINE = 9.0
LIMITS = {
    "price_per_hour_usd": (1.0, 4.0),
    "hours_factor": (1.0, 4.0),
    "other_usd": (50e6, 150e6),
}


def assumption_cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """First: are they defensible? Then: do they break the headline?"""
    return [Case("your assumptions", group, {}) for group in (INSIDE, BROKEN)]


def compare_assumptions(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Every answer inside the limits that halves the headline is right."""
    if wrong := wrong_assumptions(actual):
        return Verdict(False, wrong)
    given = fields_of(actual)
    own = (
        published.V3.machine_hours * given["price_per_hour_usd"] * given["hours_factor"]
    )
    ratio = bill.times_cheaper(given["other_usd"], own)
    headline = bill.times_cheaper(published.PRESS_OTHER_USD, published.V3.money_usd)
    if math.isclose(ratio, headline, rel_tol=1e-3):
        return Verdict(False, _("The headline still stands: change one of the values."))
    if ratio > headline:
        return Verdict(
            False,
            _(
                "The other way round: now the ratio is {ratio}, and the headline is "
                "stronger. Which bill must grow?",
                ratio=f"{ratio:.1f}",
            ),
        )
    if case.group == BROKEN and ratio > HALF_THE_HEADLINE:
        return Verdict(
            False,
            _(
                "The ratio is {ratio}, and it must be {most} or less.",
                ratio=f"{ratio:.1f}",
                most=f"{HALF_THE_HEADLINE:g}",
            ),
        )
    return Verdict(True)


def wrong_assumptions(actual: Plain) -> str:
    """What keeps the assumptions from being used, or nothing."""
    if not isinstance(actual, dict) or set(actual) != set(LIMITS):
        return _(
            "assumptions is a dictionary with exactly these names: {names}.",
            names=", ".join(LIMITS),
        )
    for name, (low, high) in LIMITS.items():
        value = actual[name]
        if not is_number(value):
            return _(
                "{name} must be a number; got {got}.", name=name, got=kind_of(value)
            )
        if name == "other_usd" and low / 1e6 <= value <= high / 1e6:
            return _("other_usd is in dollars, not in millions: 100e6, for example.")
        if not low <= value <= high:
            return _(
                "{name} must be from {low} to {high}, the limits of the knobs; "
                "got {got}.",
                name=name,
                low=f"{low:,.0f}",
                high=f"{high:,.0f}",
                got=f"{value:g}",
            )
    return ""


CHECKS = {
    "0.1": guess_check("0.1", "a number of years", lambda: _("years")),
    "0.4": Check(
        exercise="0.4",
        solution=None,
        groups={INSIDE: 0.25, BROKEN: 0.75},
        cases=assumption_cases,
        expected=nothing_expected,
        compare=compare_assumptions,
        driver="value",
    ),
}
