"""Say how good a model is, and how sure we may be of it."""

from typing import TYPE_CHECKING

from sparrow.evaluate.intervals import Interval, wilson_interval
from sparrow.evaluate.passk import pass_at_k

if TYPE_CHECKING:
    from sparrow.evaluate.paired import McNemar, mcnemar, paired_difference
    from sparrow.evaluate.voting import (
        Point,
        best_of_n,
        majority_vote,
        self_consistency,
    )

__all__ = [
    "Interval",
    "McNemar",
    "Point",
    "best_of_n",
    "majority_vote",
    "mcnemar",
    "paired_difference",
    "pass_at_k",
    "self_consistency",
    "wilson_interval",
]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for: an interval alone is quick."""
    from importlib import import_module

    if name in {"McNemar", "mcnemar", "paired_difference"}:
        return getattr(import_module("sparrow.evaluate.paired"), name)
    if name in {"Point", "best_of_n", "majority_vote", "self_consistency"}:
        return getattr(import_module("sparrow.evaluate.voting"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
