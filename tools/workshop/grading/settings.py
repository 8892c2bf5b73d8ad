"""Where `nbgrader_config.py` finds the templates of our pages, and nbgrader's own."""

from pathlib import Path

import nbgrader

__all__ = ["NBGRADER_TEMPLATES", "TEMPLATES"]

TEMPLATES = Path(__file__).parent / "templates"
NBGRADER_TEMPLATES = (
    Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
)
