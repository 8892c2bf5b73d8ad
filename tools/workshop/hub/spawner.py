"""Start each person's server as that person, within limits, with nothing of ours."""

import asyncio
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner, set_user_setuid
from traitlets import Any as AnyTrait
from traitlets import List

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom.tables import Classroom, LimitsTable
from workshop.hub import ports
from workshop.hub.limits import Limiter

__all__ = ["RoomSpawner"]

TABLE = Path("/proc/net/tcp")
LISTENS = "0A"
LOOK_S = 0.5  # thirty wait at once, and the hub has other things to do
PRIVATE = 0o077  # new files, in /tmp too, are for their owner alone


class PortTakenError(SparrowError):
    """Somebody else listens where a person's server should."""


class RoomSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """A local process within the limits of the room."""

    classroom: Classroom = AnyTrait().tag(config=True)
    limiter: Limiter = AnyTrait().tag(config=True)
    command: list[str] = List().tag(config=True)
    pid: int

    @property
    def most(self) -> LimitsTable:
        """What this person may use."""
        limits = self.classroom.limits
        if self.user.name != self.classroom.hub.instructor:
            return limits
        return LimitsTable(
            memory_mib=4 * limits.memory_mib,
            processes=4 * limits.processes,
            cpu_cores=4 * limits.cpu_cores,
        )

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """What happens between fork and exec: limits first, then the person."""
        enter = self.limiter.enter(name, self.most)
        become = set_user_setuid(name)
        home = pwd.getpwnam(name).pw_dir

        def prepare() -> None:
            os.umask(PRIVATE)
            enter()
            if self.limiter.drops_rights:
                os.chdir(home)
            else:
                become()

        return prepare

    async def start(self) -> Any:
        """Start the server; the limiter may put a command in front."""
        self.cmd: list[str] = self.limiter.wrap(
            [*self.command], self.user.name, self.most
        )
        self.port = ports.choose()
        where = await super().start()
        await self._until_it_listens()
        return where

    async def _until_it_listens(self) -> None:
        """Wait for the port, and see that nobody else has taken it meanwhile.

        Raises:
            PortTakenError: another account listens there; it would get this person's
                requests.
        """
        mine = pwd.getpwnam(self.user.name).pw_uid
        while await self.poll() is None:
            owner = listener(self.port)
            if owner == mine:
                return
            if owner is not None:
                await self.stop(now=True)
                raise PortTakenError(
                    _(
                        "The port for {account} was taken by another account: start "
                        "the server again.",
                        account=self.user.name,
                    )
                )
            await asyncio.sleep(LOOK_S)

    async def poll(self) -> Any:
        """Whether it runs; a process number of somebody else does not count."""
        if self.pid and not _belongs(self.pid, self.user.name):
            self.pid, self.proc = 0, None
        return await super().poll()

    async def stop(self, now: bool = False) -> None:
        """Stop the server and clear up."""
        await super().stop(now)
        self.limiter.leave(self.user.name)


def listener(port: int, table: Path = TABLE) -> int | None:
    """The number of the user who listens on a port of this machine."""
    for line in table.read_text("ascii").splitlines()[1:]:
        columns = line.split()
        at, state, owner = columns[1], columns[3], columns[7]
        if state == LISTENS and int(at.rpartition(":")[2], 16) == port:
            return int(owner)
    return None


def _belongs(pid: int, account: str) -> bool:
    """Numbers come again after a restart of the machine."""
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
        return owner in (0, pwd.getpwnam(account).pw_uid)  # root: it starts just now
    except (OSError, KeyError):
        return False
