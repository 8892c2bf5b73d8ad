"""Where `nbgrader_config.py` finds the templates of our pages."""

from pathlib import Path

__all__ = ["TEMPLATES"]

TEMPLATES = Path(__file__).parent / "templates"
