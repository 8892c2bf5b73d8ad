"""Checks of lab 01: which pair, place, rank or ratio went wrong."""

from sparrow.checks.lab01 import joins, paid, pairs, trained, words

__all__ = ["CHECKS"]

CHECKS = {
    **paid.CHECKS,
    **pairs.CHECKS,
    **joins.CHECKS,
    **trained.CHECKS,
    **words.CHECKS,
}
