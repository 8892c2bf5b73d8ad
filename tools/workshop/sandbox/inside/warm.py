"""Import PyTorch once, then fork for each run: milliseconds instead of seconds.

A run's code is read only after the fork. What this process read would lie in its
memory, and every later run gets a copy of that memory.
"""

import json
import os
import select
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import keeper, kernel

__all__ = ["main"]

HEADER = struct.Struct(">II")  # bytes of the limits, bytes of the job


def main(argv: Sequence[str]) -> int:
    """Serve until the grader closes its socket.

    Args:
        argv: the number of the socket; how we were started: `user`, `root` or `bare`;
            perhaps the core to stay on.
    """
    number, how, *core = argv
    control = socket.socket(fileno=int(number))
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    if how == "root":
        # Mounted here and not by bubblewrap, which would cover parts of it; a new
        # namespace may only mount a whole one.
        kernel.mount("proc", "/proc", extra=kernel.NO_EXEC)
        kernel.become_nobody()
    if how != "bare":
        kernel.drop_all_rights()
        kernel.set_dumpable(False)
    _prepare()
    control.sendall(b"ready\n")
    while True:
        select.select([control], [], [])
        child = os.fork()
        if child == 0:
            _serve_one(control, how == "bare")
        _pid, status = os.waitpid(child, 0)
        if status != 0:  # nothing more to read, or not all of it was read
            return 0


def _serve_one(control: socket.socket, bare: bool) -> NoReturn:
    """In a process of its own: read one job, run it, and end."""
    status = 1
    try:
        job = _receive(control)
        if job is not None:
            status = 0
            limits, payload, reply = job
            keeper.keep(control, reply, limits, payload, bare)
    except BaseException as error:
        message = {"ended": "broken", "error": f"{type(error).__name__}: {error}"}
        control.sendall(json.dumps(message).encode() + b"\n")
    finally:
        os._exit(status)


def _prepare() -> None:
    """Import what most runs need, and leave no thread behind: it would not survive."""
    import torch

    torch.set_num_threads(1)
    import sparrow.checks
    import sparrow.checks.wire
    import sparrow.model

    def check(_exercise: object, _object: object = None, /) -> None:
        """The learner's own check shows nothing here."""

    sparrow.checks.check = check  # type: ignore[assignment]


def _receive(control: socket.socket) -> tuple[dict[str, Any], bytes, int] | None:
    """The next job and the descriptor for its answers; None at the end."""
    first, descriptors, _flags, _address = socket.recv_fds(control, HEADER.size, 1)
    if len(first) < HEADER.size or not descriptors:
        return None
    limits_bytes, job_bytes = HEADER.unpack(first)
    body = bytearray()
    while len(body) < limits_bytes + job_bytes:
        piece = control.recv(1024 * 1024)
        if not piece:
            return None
        body += piece
    limits = json.loads(body[:limits_bytes])
    return limits, bytes(body[limits_bytes:]), descriptors[0]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
