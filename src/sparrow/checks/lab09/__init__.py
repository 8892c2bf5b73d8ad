"""Checks of lab 09: which grid, code, column, scale or claim is wrong."""

from sparrow.checks.lab09 import claimed, columns, grids, scales, tiles

__all__ = ["CHECKS"]

CHECKS = {
    **grids.CHECKS,
    **columns.CHECKS,
    **scales.CHECKS,
    **tiles.CHECKS,
    **claimed.CHECKS,
}
