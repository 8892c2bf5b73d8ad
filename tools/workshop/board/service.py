"""Where checks tell how they went: a socket of this machine, beside the hub.

The kernel says whose process speaks, and the clock of this process says when. Nothing
else decides either, so the worst that somebody can do is to say wrong things about
themselves.
"""

import asyncio
import contextlib
import json
import os
import pwd
import socket
import sqlite3
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from sparrow.errors import SparrowError
from workshop.board.events import MOST_BYTES, Agreement, Known, NotTakenError, read
from workshop.board.store import Store
from workshop.classroom.people import People
from workshop.classroom.settings import from_tables

__all__ = ["Listener", "main"]

WAIT_S = 2.0  # for a process that says nothing
MOST_OPEN = 8  # connections of one account
AT_ONCE, PER_S = 30.0, 0.5  # events of one account: a burst, then one in two seconds
CREDENTIALS = struct.Struct("3i")  # process, user, group
TAKEN, NOT_TAKEN = b'{"taken": true}\n', b""


class Listener:
    """Hears what learners' processes say.

    Args:
        store: where it is kept.
        enrolled: gives the accounts that may be on the board.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        enrolled: Callable[[], set[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.enrolled, self.clock = store, enrolled, clock
        self.known = Known()
        self.open: defaultdict[str, int] = defaultdict(int)
        self.pace: dict[str, tuple[float, float]] = {}  # account -> left, at

    async def serve(self, path: Path) -> asyncio.Server:
        """Listen at a socket that everybody may come to."""
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(
            self._visit, path, limit=MOST_BYTES, backlog=64
        )
        path.chmod(0o666)
        return server

    def take(self, account: str, line: bytes) -> None:
        """What somebody said, kept.

        Raises:
            NotTakenError: it says nothing that the board wants to know, too much, or
                nobody knows whose it is.
        """
        if account not in self.enrolled() or not self._may_speak(account):
            raise NotTakenError(account)
        told = read(line, self.known)
        if not isinstance(told, Agreement):
            self.store.note(account, told, self.clock())
        elif told.share:
            self.store.join(account, self.clock())
        else:
            self.store.forget(account)

    def _may_speak(self, account: str) -> bool:
        """A burst is fine, a flood is not."""
        now = time.monotonic()
        left, at = self.pace.get(account, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - at) * PER_S)
        self.pace[account] = (max(0.0, left - 1), now)
        return left >= 1

    async def _visit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One process, for one line; whatever happens, the others are heard."""
        account = _account_of(writer.get_extra_info("socket"))
        self.open[account] += 1
        answer = NOT_TAKEN
        try:
            if self.open[account] <= MOST_OPEN:
                line = await asyncio.wait_for(reader.readline(), WAIT_S)
                self.take(account, line)
                answer = TAKEN
        except (SparrowError, OSError, ValueError):
            pass  # too long, too slow, or not for us
        except sqlite3.Error as error:  # a full disk
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            self.open[account] -= 1
            with contextlib.suppress(OSError):
                writer.write(answer)
                writer.close()


def _account_of(connection: socket.socket) -> str:
    """Whose process is at the other end, as the kernel knows it; "" for nobody's."""
    told = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size
    )
    _process, user, _group = CREDENTIALS.unpack(told)
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""


async def main(told: str) -> None:
    """Listen until the hub ends it. `told` is JSON: socket and course."""
    settings = json.loads(told)
    course = Path(settings["course"])
    os.umask(0o077)
    people = People(from_tables({"places": {"course": str(course)}}, course))

    def enrolled() -> set[str]:
        """Read anew: somebody may have been added or removed since."""
        return {each.account for each in people.listed()}

    listener = Listener(Store(people.place.board), enrolled)
    server = await listener.serve(Path(settings["socket"]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
