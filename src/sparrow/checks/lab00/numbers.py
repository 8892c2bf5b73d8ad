"""Judge one number of a bill: right, or wrong with its likeliest cause."""

from collections.abc import Sequence
from typing import TypeAlias

from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Plain, Verdict

__all__ = ["Mistakes", "fields_of", "judge"]

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


def fields_of(record: Plain) -> dict[str, float]:
    """A record that has been looked at already, as its numbers."""
    assert isinstance(record, dict), "what is no record was refused before"
    return record  # type: ignore[return-value]
