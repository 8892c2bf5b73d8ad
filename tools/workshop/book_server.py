"""Serve the built book under /book/, beside JupyterLab, so that its search works.

Jupyter's own /files/ forbids scripts in the pages it serves. This is a Jupyter Server
extension: `jupyter/server.json` switches it on wherever the workshop is installed.
"""

from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import url_path_join
from tornado import web

from sparrow.language import _

__all__ = ["BookHandler"]

HTML = Path(__file__).resolve().parents[2] / "book" / "_build" / "html"


class BookHandler(web.StaticFileHandler):
    """Pages that anyone may read: nothing of a learner is among them."""

    @allow_unauthenticated
    async def get(self, path: str, include_body: bool = True) -> None:
        """One file of the book."""
        await super().get(path, include_body)

    @allow_unauthenticated
    async def head(self, path: str) -> None:
        """The same without its body."""
        await super().head(path)

    def write_error(self, status_code: int, **_details: Any) -> None:
        """Say what is missing, in place of a bare number."""
        if Path(self.root, "index.html").exists():
            reason = _("The book has no such page.")
        else:
            reason = _("The book has not been built here yet. Run: make book")
        self.finish(f"<!doctype html><title>{status_code}</title><p>{reason}</p>")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell Jupyter Server where the extension is."""
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the handlers to a server that is starting."""
    place = url_path_join(server.web_app.settings["base_url"], "book")
    options = {"path": str(HTML), "default_filename": "index.html"}
    server.web_app.add_handlers(
        ".*$",
        [
            (place, web.RedirectHandler, {"url": f"{place}/"}),
            (f"{place}/(.*)", BookHandler, options),
        ],
    )
