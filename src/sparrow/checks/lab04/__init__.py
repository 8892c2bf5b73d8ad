"""Checks of lab 04: which token, step, file or memory did not survive."""

from sparrow.checks.lab04 import files, kept, masks, packs, rates, survived

__all__ = ["CHECKS"]

CHECKS = {
    **survived.CHECKS,
    **packs.CHECKS,
    **masks.CHECKS,
    **rates.CHECKS,
    **files.CHECKS,
    **kept.CHECKS,
}
