"""The ports that only this machine uses: they stay the same when the hub restarts.

A server that outlives its hub finds the next one where the first one was. All lie below
those that the kernel lends to outgoing connections: with a class at work there are a
thousand of these, and one could take a port that a server has not opened yet.
"""

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from workshop.classroom.place import private_write

__all__ = ["Inside", "choose", "is_free", "keep"]

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, TRIES = 20_000, 200


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
        chosen = Inside(**dict(zip(("hub", "proxy", "book"), _chosen(3), strict=True)))
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


def choose(taken: frozenset[int] = frozenset()) -> int:
    """A port of this machine that nobody listens on, hard to guess.

    Args:
        taken: ports that somebody will listen on soon.
    """
    lent_from = 32_768
    with suppress(OSError, ValueError):
        lent_from = int(LENT.read_text("ascii").split()[0])
    for _try in range(TRIES if lent_from > LOWEST else 0):
        port = LOWEST + secrets.randbelow(lent_from - LOWEST)
        if port not in taken and is_free(port, "127.0.0.1"):
            return port
    with socket.socket() as probe:  # this machine lends all of them
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _chosen(count: int) -> list[int]:
    """Some ports, no two the same."""
    found: list[int] = []
    while len(found) < count:
        port = choose(frozenset(found))
        found += [port] if port not in found else []
    return found
