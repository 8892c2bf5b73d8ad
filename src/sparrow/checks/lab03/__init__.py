"""Checks of lab 03: which score, sign, share or shift went wrong."""

from sparrow.checks.lab03 import balance, bias, further, gates, shares, zeros

__all__ = ["CHECKS"]

CHECKS = {
    **shares.CHECKS,
    **zeros.CHECKS,
    **gates.CHECKS,
    **bias.CHECKS,
    **balance.CHECKS,
    **further.CHECKS,
}
