"""Compare whole numbers, and name the mistake that gives just what was got."""

from collections.abc import Iterable

from sparrow.checks.compare import compare_equal
from sparrow.checks.protocol import Plain, Verdict

__all__ = ["compare_exact"]


def compare_exact(
    wanted: Plain, actual: Plain, mistakes: Iterable[tuple[object, str]] = ()
) -> Verdict:
    """Equal, or why not: a likely mistake may well give another number of values.

    Args:
        wanted: what the library gives.
        actual: what the learner's function gave.
        mistakes: what a likely mistake gives, and what to say of it.
    """
    for made, said in mistakes:
        if actual == made != wanted:
            return Verdict(False, said)
    return compare_equal(actual, wanted)
