"""Checks of lab 02: which norm, turn, matrix or division went wrong."""

from sparrow.checks.lab02 import latents, norms, remembered, scores, turns, unequal

__all__ = ["CHECKS"]

CHECKS = {
    **remembered.CHECKS,
    **norms.CHECKS,
    **latents.CHECKS,
    **turns.CHECKS,
    **unequal.CHECKS,
    **scores.CHECKS,
}
