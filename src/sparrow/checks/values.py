"""Look at what a learner wrote by hand: is it there, a number, or a known mistake?"""

import math
from collections.abc import Sequence
from typing import TypeGuard

from sparrow.checks.protocol import Case, Plain, Verdict
from sparrow.language import _

__all__ = [
    "is_number",
    "kind_of",
    "nothing_expected",
    "numbers_claimed",
    "why_not_as_wide",
]


def nothing_expected(_case: Case) -> Plain:
    """The value is judged by itself, not beside another one."""
    return None


def kind_of(value: object) -> str:
    """A value in a few words: None, its number, or its type."""
    if value is None:
        return "None"
    if isinstance(value, int | float):
        return repr(value)
    return type(value).__name__


def is_number(value: object) -> TypeGuard[float]:
    """An int or a float; True and False are no numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers_claimed(claim: Plain, names: Sequence[str]) -> dict[str, float] | Verdict:
    """The finite numbers of these names; a verdict if one is missing."""
    if not isinstance(claim, dict):
        return Verdict(False, _("The file has no claim."))
    found = {}
    for name in names:
        got = claim.get(name)
        if not is_number(got) or not math.isfinite(got):
            return Verdict(
                False,
                _("{name} must be a number; got {got}.", name=name, got=kind_of(got)),
            )
        found[name] = got
    return found


def why_not_as_wide(
    claimed: float, half: float, mistakes: Sequence[tuple[float, str]], play: float = 0
) -> str:
    """The likeliest cause of an interval of a wrong width.

    Args:
        claimed: half of its width.
        half: what that should be.
        mistakes: what likely mistakes make of it, and what to say of each.
        play: how far a claim may be from a mistake, besides 5 % of it.
    """
    wrong, message = min(mistakes, key=lambda mistake: abs(claimed - mistake[0]))
    if abs(claimed - wrong) <= 0.05 * wrong + play:
        return message
    if claimed < half:
        return _("The interval is too narrow.")
    return _("The interval is too wide.")
