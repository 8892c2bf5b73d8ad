"""Serve the built book to the room, beside the hub, as a user without rights."""

import asyncio
import sys

from tornado.web import Application, StaticFileHandler

__all__ = ["application", "main"]


class PageHandler(StaticFileHandler):
    """Pages that anyone may read."""

    def set_default_headers(self) -> None:
        """No other page may frame them."""
        self.set_header("Content-Security-Policy", "frame-ancestors 'self'")


def application(folder: str) -> Application:
    """The book under `/book/`, and under the name that the hub gives a service."""
    pages = {"path": folder, "default_filename": "index.html"}
    return Application([(r"/(?:services/)?book/(.*)", PageHandler, pages)])


async def main(folder: str, port: int) -> None:
    """Serve until the hub ends it."""
    application(folder).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
