"""Make a lab's two notebooks from one hand-written source."""

from typing import Any

__all__ = ["release"]


def release(notebook: Any) -> Any:
    """The learner's notebook: every answer cut down to its stub, nothing executed."""
    from workshop.build import notebooks  # late: nbformat takes a second to import

    return notebooks.release(notebook)
