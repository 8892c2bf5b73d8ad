"""What was looked at, what was found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level"]

Level = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    `info` is worth knowing and needs nothing; a `warning` takes something away; with an
    `error` the labs do not run.
    """

    topic: str  # the same in every language
    level: Level
    found: str
    fix: str = ""
