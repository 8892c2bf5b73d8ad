"""How much memory a person takes: what is shared counts by its share (PSS).

The resident size of a process counts the pages of PyTorch once for each person, as if
nobody shared them; thirty such numbers add up to far more than there is.
"""

import os
import pwd
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Taken", "Watch", "taken", "watched"]

MIB = 1024**2
LEAST_MIB = 400  # below that a machine without swap begins to kill


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Memory of one person, in MiB."""

    pss_mib: float
    rss_mib: float


def taken(accounts: Iterable[str]) -> dict[str, Taken]:
    """Account -> what all its processes take together."""
    names = {pwd.getpwnam(account).pw_uid: account for account in accounts}
    sums = {account: [0.0, 0.0] for account in names.values()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            account = names[process.stat().st_uid]
            told = (process / "smaps_rollup").read_text("ascii")
        except (OSError, KeyError):
            continue  # somebody else's, or it has ended
        for place, field in enumerate(("Pss:", "Rss:")):
            line = next(x for x in told.splitlines() if x.startswith(field))
            sums[account][place] += int(line.split()[1]) / 1024
    return {
        account: Taken(pss_mib=pss, rss_mib=rss) for account, (pss, rss) in sums.items()
    }


@dataclass
class Watch:
    """What the machine had left."""

    before_mib: float
    least_mib: float
    ran_out: bool = False


@contextmanager
def watched(give_up: Callable[[], None]) -> Iterator[Watch]:
    """Look at the machine's memory all the time; give up before the kernel must."""
    now_mib = psutil.virtual_memory().available / MIB
    watch = Watch(before_mib=now_mib, least_mib=now_mib)
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            left_mib = psutil.virtual_memory().available / MIB
            watch.least_mib = min(watch.least_mib, left_mib)
            if left_mib < LEAST_MIB and not watch.ran_out:
                watch.ran_out = True
                give_up()

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield watch
    finally:
        stop.set()
        watcher.join()


def load_per_core() -> float:
    """How busy the machine was in the last minute; 1 is all cores."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
