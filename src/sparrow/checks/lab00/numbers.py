"""Judge one number of a bill: right, or wrong with its likeliest cause."""

from collections.abc import Sequence
from typing import TypeAlias, TypeGuard

from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Case, Plain, Verdict

__all__ = ["Mistakes", "fields_of", "is_number", "judge", "kind_of", "nothing_expected"]

RTOL = 1e-6  # float64 arithmetic in any order is closer than this

# (what a mistake gives, what to tell the learner), likeliest first
Mistakes: TypeAlias = Sequence[tuple[float, str]]


def judge(name: str, got: Plain, wanted: float, mistakes: Mistakes) -> Verdict:
    """Compare a named number; if it is what a mistake gives, say which."""
    return compare_close(
        {name: got},
        {name: wanted},
        rtol=RTOL,
        atol=0.0,
        causes=[
            (message, lambda value=value: {name: float(value)})
            for value, message in mistakes
        ],
    )


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


def fields_of(record: Plain) -> dict[str, float]:
    """A record that has been looked at already, as its numbers."""
    assert isinstance(record, dict), "what is no record was refused before"
    return record  # type: ignore[return-value]
