"""Say numbers as people do: 1.04 million, 175 mWh. Needs no drawing library."""

import math

from sparrow.language import _

__all__ = ["energy", "guessed", "mass", "money", "number"]


def number(value: float, digits: int = 3) -> str:
    """A number as people say it: 1.04 million, 54.2, 0.0031."""
    size = abs(value)
    if size >= 1e12:
        return f"{value:.{digits - 1}e}"
    if size >= 1e9:
        return _("{n} billion", n=_short(value / 1e9, digits))
    if size >= 1e6:
        return _("{n} million", n=_short(value / 1e6, digits))
    return _short(value, digits)


def guessed(value: object) -> float | None:
    """A learner's guess, or None where a scale of tens has no place for it.

    A cell may hold anything: text, zero, or nothing yet. The check says so; a picture
    that comes later must not fail again.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None


def energy(kwh: float) -> str:
    """Energy in the unit that needs the fewest zeros."""
    units = {"GWh": 1e6, "MWh": 1e3, "kWh": 1.0, "Wh": 1e-3, "mWh": 1e-6}
    return _in_units(kwh, units)


def mass(kg: float) -> str:
    """Mass in the unit that needs the fewest zeros."""
    return _in_units(kg, {"t": 1e3, "kg": 1.0, "g": 1e-3, "mg": 1e-6})


def money(amount: float) -> str:
    """Money to two places; very little of it is less than 0.01."""
    return "< 0.01" if 0 < amount < 0.01 else f"{amount:,.2f}"


def _in_units(value: float, units: dict[str, float]) -> str:
    unit = next((each for each in units if value >= units[each]), list(units)[-1])
    return f"{_short(value / units[unit], 3)} {unit}"


def _short(value: float, digits: int) -> str:
    """`digits` figures that count, thousands apart."""
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{rounded:,.0f}"
    if abs(rounded) < 1e-4:
        return f"{rounded:.{digits}g}"
    places = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{places}f}".rstrip("0").rstrip(".")
