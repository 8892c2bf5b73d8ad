"""How loaded this machine is: processors, memory, disk, graphics card, and whose."""

import os
import shutil
import subprocess
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Card", "Load", "Machine", "cards", "memory_by_user"]

GIB = 1024**3
PROCESSES = Path("/proc")
EVERY_S, KEPT = 10, 360  # an hour
ASK_CARD = ("name", "utilization.gpu", "memory.used", "memory.total")
WAIT_S = 5.0  # a driver may hang


@dataclass(frozen=True)
class Card:
    """A graphics card."""

    name: str
    used_frac: float
    memory_gib: float
    memory_total_gib: float


@dataclass(frozen=True)
class Load:
    """One look at the machine; sizes in GiB."""

    at: float
    cpu_frac: float
    cores: int
    memory_gib: float
    memory_total_gib: float
    disk_free_gib: float
    disk_total_gib: float
    cards: tuple[Card, ...]
    memory_by_user: dict[int, float]

    @property
    def memory_frac(self) -> float:
        """The share of the memory that is taken."""
        return self.memory_gib / self.memory_total_gib


class Machine:
    """Looks at this machine now and then, and remembers the last hour.

    Args:
        disk: a folder of the disk that matters.
    """

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.loads: deque[Load] = deque(maxlen=KEPT)
        psutil.cpu_percent()  # the first answer says nothing

    def look(self) -> Load:
        """Look, and remember."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self.disk))
        load = Load(
            at=time.time(),
            cpu_frac=psutil.cpu_percent() / 100,
            cores=len(os.sched_getaffinity(0)),
            memory_gib=(memory.total - memory.available) / GIB,
            memory_total_gib=memory.total / GIB,
            disk_free_gib=disk.free / GIB,
            disk_total_gib=disk.total / GIB,
            cards=cards(),
            memory_by_user=memory_by_user(),
        )
        self.loads.append(load)
        return load


def memory_by_user() -> dict[int, float]:
    """User -> memory of all their processes, in GiB; shared pages count for each."""
    found: dict[int, float] = {}
    page_gib = os.sysconf("SC_PAGE_SIZE") / GIB
    for process in filter(lambda each: each.name.isdigit(), PROCESSES.iterdir()):
        with suppress(OSError):  # it has just ended
            user = process.stat().st_uid
            pages = int((process / "statm").read_text("ascii").split()[1])
            found[user] = found.get(user, 0.0) + pages * page_gib
    return found


def cards(program: str = "nvidia-smi") -> tuple[Card, ...]:
    """The graphics cards; none where their program is missing or says nothing."""
    if shutil.which(program) is None:
        return ()
    line = [program, f"--query-gpu={','.join(ASK_CARD)}"]
    line.append("--format=csv,noheader,nounits")
    try:
        said = subprocess.run(
            line, capture_output=True, text=True, timeout=WAIT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for row in said.splitlines():
        with suppress(ValueError):  # "[N/A]" on some cards
            name, used, memory, total = (each.strip() for each in row.split(","))
            sizes = float(memory) / 1024, float(total) / 1024
            found.append(Card(name, float(used) / 100, *sizes))
    return tuple(found)
