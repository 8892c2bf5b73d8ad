"""Checks of lab 08: which answer, test, direction or bill is wrong."""

from sparrow.checks.lab08 import choices, compared, distances, leaks, lessons

__all__ = ["CHECKS"]

CHECKS = {
    **lessons.CHECKS,
    **leaks.CHECKS,
    **choices.CHECKS,
    **distances.CHECKS,
    **compared.CHECKS,
}
