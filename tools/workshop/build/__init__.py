"""Make a lab's two notebooks from one hand-written source."""

from workshop.build.notebooks import release

__all__ = ["release"]
