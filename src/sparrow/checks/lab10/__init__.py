"""Checks of lab 10: who waits for whom, and which block is whose."""

from sparrow.checks.lab10 import budget, kept, pool, waits

__all__ = ["CHECKS"]

CHECKS = {**budget.CHECKS, **pool.CHECKS, **kept.CHECKS, **waits.CHECKS}
