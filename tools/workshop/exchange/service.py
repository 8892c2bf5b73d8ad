"""The window at which learners hand in and take: a socket of this machine.

Who is there is said by the kernel, which knows whose process holds the other end. No
token has to be kept from others, and nobody can listen in the place of the service:
the socket lies in a folder that only its owner can change. The time is this process's.

A request is one line of JSON, `{"lab": …, "files": {name: bytes}}`, and then the bytes
of the files in that order. The answer is one line: a receipt, or why there is none.

Who asks gets what is their own, and of nobody else: `{"ask": "lab", "lab": …}` the
files of a lab, `{"ask": "feedback", "lab": …}` the pages about it, as
`{"files": {name: bytes}}` and then the files; `{"ask": "overview"}` what there is to
fetch, their receipts, and which feedback is out.
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
from workshop.classroom import rules
from workshop.exchange.desk import Desk
from workshop.exchange.shelf import Shelf
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
        shelf: what learners may take.
    """

    daemon_threads = True
    request_queue_size = 64  # a whole class at the same moment

    def __init__(self, path: Path, desk: Desk, shelf: Shelf) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Visit)
        path.chmod(0o666)  # everybody may come; who it is, the kernel says
        self.desk, self.shelf = desk, shelf


class _Visit(socketserver.StreamRequestHandler):
    """One learner's process at the window."""

    timeout = WAIT_S
    server: Window

    def handle(self) -> None:
        """Read, take, answer; whatever happens, the others are served."""
        files: dict[str, bytes] = {}
        answer: dict[str, Any]
        try:
            told = json.loads(self.rfile.readline(HEADER_BYTES))
            asked = told.get("ask", "")
            if not asked:
                answer = {"receipt": self._take(told)}
            elif asked == "overview":
                answer = self._overview()
            else:
                files = self._give(asked, str(told["lab"]))
                answer = {"files": {name: len(each) for name, each in files.items()}}
        except SparrowError as error:
            answer = {"refused": str(error)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            answer = {"refused": _("The request cannot be read: hand it in again.")}
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
            for each in files.values():
                self.wfile.write(each)
        except OSError:
            return  # gone; what was taken is taken

    def _give(self, asked: str, lab: str) -> dict[str, bytes]:
        """The files that somebody may have."""
        if asked == "lab":
            return self.server.shelf.lab(lab)
        if asked == "feedback":
            return self.server.shelf.feedback(account_of(self.connection), lab)
        raise ValueError("unknown question")

    def _overview(self) -> dict[str, Any]:
        """What concerns whoever asks."""
        learner = account_of(self.connection)
        return {
            "course": self.server.shelf.code,
            "labs": self.server.shelf.labs(),
            "receipts": [asdict(x) for x in self.server.desk.receipts(learner)],
            "feedback": self.server.shelf.given(learner),
        }

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


def main(socket_path: str, folder: str) -> None:
    """Serve a course until the hub ends it."""
    os.umask(0o077)
    course = Course.at(Path(folder))
    classroom = rules.of(course.root)
    desk, shelf = Desk(course, classroom), Shelf(course, classroom)
    desk.clear_up()
    with Window(Path(socket_path), desk, shelf) as window:
        window.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
