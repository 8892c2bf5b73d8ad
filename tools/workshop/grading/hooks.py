"""What nbgrader calls before it touches a submission."""

from pathlib import Path
from typing import Any

from workshop.grading.submission import examine

__all__ = ["examine_before_autograde"]


def examine_before_autograde(*, assignment: str, student: str, **_named: Any) -> None:
    """Refuse a submission before nbgrader copies or parses it.

    Raises:
        RefusedError: nbgrader logs it, skips this submission and goes on.
    """
    examine(Path.cwd() / "submitted" / student / assignment, assignment)
