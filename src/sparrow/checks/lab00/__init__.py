"""Checks of lab 00: which unit, factor or direction went wrong in a bill."""

from sparrow.checks.lab00 import bills, claims, kept

__all__ = ["CHECKS"]

CHECKS = {**claims.CHECKS, **bills.CHECKS, **kept.CHECKS}
