"""Checks of lab 05: which text, draw, bound, toss or vote went wrong."""

from sparrow.checks.lab05 import bounds, compared, found, tosses, tries, votes

__all__ = ["CHECKS"]

CHECKS = {
    **found.CHECKS,
    **tries.CHECKS,
    **bounds.CHECKS,
    **tosses.CHECKS,
    **votes.CHECKS,
    **compared.CHECKS,
}
