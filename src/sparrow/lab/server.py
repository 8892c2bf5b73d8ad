"""Serve the built book beside JupyterLab, so that one address gives both.

JupyterLab's own file links show pages in a sandbox without scripts; the book's search
needs them. So the folder is served as it is, under /book/.
"""

from pathlib import Path
from typing import Any

__all__: list[str] = []

BOOK = Path("book/_build/html")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """What Jupyter asks an extension: where it begins."""
    return [{"module": "sparrow.lab.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Add the address /book/, for the book beside the folder that is being served."""
    from jupyter_server.utils import url_path_join
    from tornado.web import RedirectHandler, StaticFileHandler

    folder = Path(app.root_dir).parent / BOOK
    address = url_path_join(app.web_app.settings["base_url"], "book")
    files = {"path": str(folder), "default_filename": "index.html"}
    app.web_app.add_handlers(
        ".*$",
        [
            (address, RedirectHandler, {"url": f"{address}/index.html"}),
            (f"{address}/(.*)", StaticFileHandler, files),
        ],
    )
