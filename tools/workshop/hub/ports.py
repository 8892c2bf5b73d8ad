"""The ports that only this machine uses: they stay the same when the hub restarts.

A server that outlives its hub finds the next one where the first one was.
"""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from workshop.classroom.place import private_write

__all__ = ["Inside", "is_free", "keep"]


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Ports of 127.0.0.1."""

    hub: int
    proxy: int
    book: int


def keep(path: Path) -> Inside:
    """The ports of this hub, chosen when it starts for the first time.

    Raises:
        StorageError: they cannot be written.
    """
    try:
        return Inside(**json.loads(path.read_text("ascii")))
    except (OSError, ValueError, TypeError):
        chosen = Inside(**dict(zip(("hub", "proxy", "book"), _free(3), strict=True)))
    with private_write(path) as file:
        file.write(json.dumps(asdict(chosen)).encode())
    return chosen


def is_free(port: int, host: str = "") -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free(count: int) -> list[int]:
    """Some ports that nobody has; held together, so that no two are the same."""
    probes = [socket.socket() for _each in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
