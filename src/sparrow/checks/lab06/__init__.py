"""Checks of lab 06: which mark, mask, row or choice was taken for another."""

from sparrow.checks.lab06 import chats, counter, gate, masks, openness, packs

__all__ = ["CHECKS"]

CHECKS = {
    **gate.CHECKS,
    **chats.CHECKS,
    **masks.CHECKS,
    **packs.CHECKS,
    **openness.CHECKS,
    **counter.CHECKS,
}
