"""Keep each person's processes within memory, number and processor time.

systemd does it where it runs; else control groups, where root may make them; else the
process limits of UNIX, which count memory for each process and do not share out cores.
"""

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workshop.classroom.tables import LimitsTable

__all__ = ["ControlGroups", "Limiter", "ProcessLimits", "Systemd", "choose"]

SYSTEMD = Path("/run/systemd/system")
GROUPS = Path("/sys/fs/cgroup")
MIB = 1024**2
PERIOD_US = 100_000
NICE = 5  # the hub and the proxy stay quick when everybody computes


class Limiter(Protocol):
    """One way to limit what a person's processes use together."""

    @property
    def name(self) -> str:
        """What the instructor reads."""

    @property
    def drops_rights(self) -> bool:
        """Whether the command that it wraps becomes the person."""

    def wrap(self, command: list[str], account: str, most: LimitsTable) -> list[str]:
        """The command that starts a server within the limits."""

    def enter(self, account: str, most: LimitsTable) -> Callable[[], None]:
        """What the new process does as root, before it becomes the person."""

    def leave(self, account: str) -> None:
        """Clear up when the server has ended."""


def choose() -> Limiter:
    """The best that this machine has."""
    if SYSTEMD.is_dir():
        return Systemd()
    groups = ControlGroups.here()
    return groups if groups else ProcessLimits()


@dataclass(frozen=True)
class ProcessLimits:
    """Limits that every UNIX has: `setrlimit`."""

    name: str = "process limits"
    drops_rights: bool = False

    def wrap(self, command: list[str], account: str, most: LimitsTable) -> list[str]:
        """Nothing to add."""
        return command

    def enter(self, account: str, most: LimitsTable) -> Callable[[], None]:
        """Memory counts for each process, the number of processes for the person."""
        memory = most.memory_mib * MIB

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
            number(most)

        return limit

    def leave(self, account: str) -> None:
        """Nothing was made."""


def number(most: LimitsTable) -> None:
    """Limit the number of processes, and let no one write core files."""
    resource.setrlimit(resource.RLIMIT_NPROC, (most.processes, most.processes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)


@dataclass(frozen=True)
class ControlGroups:
    """Control groups below our own, one a person; controller -> our own folder."""

    folders: dict[str, Path]
    name: str = "control groups"
    drops_rights: bool = False

    @classmethod
    def here(cls, groups: Path = GROUPS) -> "ControlGroups | None":
        """Those of this process (version 1); None where groups cannot be made."""
        try:
            lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
        except OSError:
            return None
        found = {}
        for line in lines:
            _number, controllers, path = line.split(":", 2)
            for each in controllers.split(","):
                folder = groups / each / path.lstrip("/")
                if each in ("memory", "pids", "cpu") and folder.is_dir():
                    found[each] = folder
        if len(found) < 3:
            return None
        trial = found["memory"] / f"sparrow-trial-{os.getpid()}"
        try:
            trial.mkdir()
            trial.rmdir()
        except OSError:
            return None
        return cls(found)

    def wrap(self, command: list[str], account: str, most: LimitsTable) -> list[str]:
        """Nothing to add."""
        return command

    def enter(self, account: str, most: LimitsTable) -> Callable[[], None]:
        """Make the person's groups now; the new process joins them."""
        quota = round(most.cpu_cores * PERIOD_US)
        values = {
            "memory": {"memory.limit_in_bytes": most.memory_mib * MIB},
            "pids": {"pids.max": most.processes},
            "cpu": {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": quota},
        }
        for controller, files in values.items():
            folder = self._folder(controller, account)
            folder.mkdir(exist_ok=True)
            for file, value in files.items():
                (folder / file).write_text(str(value), "ascii")
        doors = [self._folder(each, account) / "cgroup.procs" for each in values]

        def join() -> None:
            for door in doors:
                door.write_text(str(os.getpid()), "ascii")
            number(most)

        return join

    def leave(self, account: str) -> None:
        """Remove the groups; a process that has not ended yet keeps its own."""
        for controller in self.folders:
            with suppress(OSError):
                self._folder(controller, account).rmdir()

    def _folder(self, controller: str, account: str) -> Path:
        return self.folders[controller] / f"sparrow-{account}"


@dataclass(frozen=True)
class Systemd:
    """A scope of systemd's for each server; `setpriv` then becomes the person."""

    name: str = "systemd"
    drops_rights: bool = True

    def wrap(self, command: list[str], account: str, most: LimitsTable) -> list[str]:
        """Both programs replace themselves: the process number stays the same."""
        limits = {
            "MemoryMax": f"{most.memory_mib}M",
            "MemorySwapMax": "0",
            "TasksMax": str(most.processes),
            "CPUQuota": f"{most.cpu_cores:.0%}",
        }
        line = ["systemd-run", "--scope", "--quiet", "--collect"]
        line += [f"--property={name}={value}" for name, value in limits.items()]
        line += ["--", "setpriv", f"--reuid={account}", f"--regid={account}"]
        return [*line, "--init-groups", "--", *command]

    def enter(self, account: str, most: LimitsTable) -> Callable[[], None]:
        """Systemd counts all but core files."""
        return lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def leave(self, account: str) -> None:
        """A scope ends with its last process."""
