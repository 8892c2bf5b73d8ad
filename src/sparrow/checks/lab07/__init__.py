"""Checks of lab 07: which mean, bound, sign or share went wrong."""

from sparrow.checks.lab07 import (
    clips,
    distances,
    gained,
    groups,
    means,
    signals,
)

__all__ = ["CHECKS"]

CHECKS = {
    **groups.CHECKS,
    **clips.CHECKS,
    **distances.CHECKS,
    **means.CHECKS,
    **signals.CHECKS,
    **gained.CHECKS,
}
