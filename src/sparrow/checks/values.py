"""Look at a value that a learner wrote by hand: is it there, and is it a number?"""

from typing import TypeGuard

from sparrow.checks.protocol import Case, Plain

__all__ = ["is_number", "kind_of", "nothing_expected"]


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
