"""The window at which learners hand in: a socket of this machine, beside the hub.

Who is there is said by the kernel, which knows whose process holds the other end. No
token has to be kept from others, and nobody can listen in the place of the service:
the socket lies in a folder that only its owner can change. The time is this process's.

A request is one line of JSON, `{"lab": …, "files": {name: bytes}}`, and then the bytes
of the files in that order. The answer is one line: a receipt, or why there is none.

`{"ask": "feedback", "lab": …}` asks for the pages of whoever asks, and of nobody else:
`{"files": {name: bytes}}` comes back, and then the pages.
"""

import json
import os
import pwd
import socket
import socketserver
import struct
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom.settings import from_tables
from workshop.exchange.desk import Desk
from workshop.grading.course import Course
from workshop.grading.submission import MAX_FOLDER_MIB, MIB, RefusedError

__all__ = ["Window", "main"]

HEADER_BYTES = 2**16
WAIT_S = 60.0  # for a learner's process that says nothing
CREDENTIALS = struct.Struct("3i")  # process, user, group


class Window(socketserver.ThreadingUnixStreamServer):
    """Takes submissions until it is shut down.

    Args:
        path: of the socket.
        desk: where they are kept.
    """

    daemon_threads = True
    request_queue_size = 64  # a whole class at the same moment

    def __init__(self, path: Path, desk: Desk) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Visit)
        path.chmod(0o666)  # everybody may come; who it is, the kernel says
        self.desk = desk


class _Visit(socketserver.StreamRequestHandler):
    """One learner's process at the window."""

    timeout = WAIT_S
    server: Window

    def handle(self) -> None:
        """Read, take, answer; whatever happens, the others are served."""
        pages: dict[str, bytes] = {}
        try:
            told = json.loads(self.rfile.readline(HEADER_BYTES))
            if "ask" in told:
                pages = self._give_back(told)
                sizes = {name: len(page) for name, page in pages.items()}
                answer: dict[str, Any] = {"files": sizes}
            else:
                answer = {"receipt": self._take(told)}
        except SparrowError as error:
            answer = {"refused": str(error)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            answer = {"refused": _("The request cannot be read: hand it in again.")}
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
            for page in pages.values():
                self.wfile.write(page)
        except OSError:
            return  # gone; what was taken is taken

    def _give_back(self, told: dict[str, Any]) -> dict[str, bytes]:
        if told["ask"] != "feedback":
            raise ValueError("unknown question")
        learner = account_of(self.connection)
        return self.server.desk.feedback(learner, str(told["lab"]))

    def _take(self, told: dict[str, Any]) -> dict[str, Any]:
        sizes = {str(name): int(size) for name, size in told["files"].items()}
        if min(sizes.values(), default=0) < 0:
            raise ValueError("negative size")
        if sum(sizes.values()) > MAX_FOLDER_MIB * MIB:
            raise RefusedError(
                _(
                    "The submission has more than {most} MiB of files.",
                    most=MAX_FOLDER_MIB,
                )
            )
        files = {name: self.rfile.read(size) for name, size in sizes.items()}
        if any(len(files[name]) != size for name, size in sizes.items()):
            raise ValueError("cut off")
        receipt = self.server.desk.take(
            account_of(self.connection), str(told["lab"]), files, datetime.now(UTC)
        )
        return asdict(receipt)


def account_of(connection: socket.socket) -> str:
    """Whose process is at the other end, as the kernel knows it."""
    told = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size
    )
    _process, user, _group = CREDENTIALS.unpack(told)
    return pwd.getpwuid(user).pw_name


def main(told: str) -> None:
    """Serve until the hub ends it. `told` is JSON: socket, course, deadlines, late."""
    settings = json.loads(told)
    course = Path(settings["course"])
    deadlines = {
        lab: datetime.fromisoformat(at) for lab, at in settings["deadlines"].items()
    }
    tables = {"deadlines": deadlines, "late": settings["late"]}
    os.umask(0o077)
    desk = Desk(Course.at(course), from_tables(tables, course))
    with Window(Path(settings["socket"]), desk) as window:
        window.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
