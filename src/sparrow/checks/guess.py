"""Check a prediction: any number that could be true is right, made before measuring."""

import math
from collections.abc import Callable

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.language import _

__all__ = ["guess_check"]


def guess_check(exercise: str, group: str, unit: Callable[[], str]) -> Check:
    """The check of a guessed amount.

    Args:
        exercise: its number.
        group: what the learner reads beside the mark, such as `"a number of years"`.
        unit: gives the unit's name in the language spoken then.
    """

    def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
        """A value is looked at once: nothing is drawn, nothing is hidden."""
        return [Case("your guess", group, {})]

    def compare(_case: Case, _expected: Plain, actual: Plain) -> Verdict:
        """What counts is to commit to a number."""
        if actual is None:
            missing = _("There is no guess yet: put a number in place of None.")
            return Verdict(False, missing)
        if not is_number(actual):
            return Verdict(
                False,
                _(
                    "A guess is one number of {unit}, such as 1000; got {got}.",
                    unit=unit(),
                    got=kind_of(actual),
                ),
            )
        if not math.isfinite(actual) or actual <= 0:
            return Verdict(
                False,
                _("It is more than zero and not infinite; got {got}.", got=actual),
            )
        return Verdict(True)

    return Check(
        exercise=exercise,
        solution=None,
        groups={group: 1.0},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="value",
    )
