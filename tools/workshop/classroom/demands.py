"""What a setting may be, and the sentence for each that may not."""

import difflib
import re
from collections.abc import Iterable

from sparrow.errors import UsageError
from sparrow.language import _

__all__ = ["SettingsError", "at_least", "between", "matches", "nearest", "one_of"]


class SettingsError(UsageError):
    """A `workshop.toml` that is missing, cannot be read, or asks for what cannot be."""


def nearest(got: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; empty if nothing is near."""
    found = difflib.get_close_matches(got, list(known), n=1)
    return _(" (did you mean {word}?)", word=found[0]) if found else ""


def one_of(name: str, got: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of these."""
    if got not in known:
        raise SettingsError(
            _(
                '{name} must be one of {known}; got "{got}".',
                name=name,
                known=", ".join(known),
                got=got,
            )
        )


def at_least(name: str, got: float, low: float) -> None:
    """Refuse a number below `low`."""
    if not got >= low:
        raise SettingsError(
            _("{name} must be at least {low}, got {got}.", name=name, low=low, got=got)
        )


def between(name: str, got: float, low: float, high: float) -> None:
    """Refuse a number outside."""
    if not low <= got <= high:
        raise SettingsError(
            _(
                "{name} must be from {low} to {high}, got {got}.",
                name=name,
                low=low,
                high=high,
                got=got,
            )
        )


def matches(name: str, got: str, pattern: re.Pattern[str], example: str) -> None:
    """Refuse a word with letters that cannot be there."""
    if not pattern.fullmatch(got):
        raise SettingsError(
            _(
                '{name} is "{got}"; write it like "{example}".',
                name=name,
                got=got,
                example=example,
            )
        )
