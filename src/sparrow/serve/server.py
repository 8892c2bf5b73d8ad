"""Listen, and close politely: finish what began, refuse the rest, then end."""

import asyncio
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.serve.worker import Worker

__all__ = ["PORT", "Server", "listen"]

PORT = 8000
PORTS_TRIED = 20


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens: at this port, or at the first free one from 8000 on.

    Raises:
        UsageError: the port is taken, or the host is not this machine's.
    """
    first = PORT if port is None else port
    for tried in range(first, first + (PORTS_TRIED if port is None else 1)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, tried))
            # Two can bind where both may reuse; only one can listen.
            found.listen(1024)
        except OSError as error:
            found.close()
            reason = error.strerror or str(error)
        else:
            return found
    raise UsageError(
        _(
            "nothing can listen at {host}, port {port} ({reason}): choose another one "
            "with --port, or leave --port out to take the next free one.",
            host=host,
            port=first,
            reason=reason,
        )
    )


class Server(uvicorn.Server):
    """Uvicorn, but the first signal begins to close, and only the second one hurries.

    Args:
        app: what answers.
        worker: is drained before the end.
        grace_s: how long to wait for answers that are being written.
    """

    def __init__(self, app: FastAPI, worker: Worker, *, grace_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=5,
            )
        )
        self._worker, self._grace_s = worker, grace_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes and all is finished."""
        self._loop = asyncio.get_running_loop()
        self._worker.start()
        try:
            await super().serve(sockets)
        finally:
            await asyncio.to_thread(self._worker.stop)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to close; at the second signal end at once."""
        if self._closing is not None or self._loop is None:
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """Refuse what comes, finish what is there, then end."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())

    async def _close(self) -> None:
        await self._worker.drain(self._grace_s)
        self.should_exit = True
