"""The machine goes down in the middle of everything; what was thanked for is there."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.e2e.hub_room import MAIN, Room, opened
from workshop.exchange.desk import Desk
from workshop.grading.course import Course

PEOPLE = (("amina", "Amina Ben Salah", "en"), ("omar", "عمر بن علي", "ar"))
LAB = "00_preflight"
CUTS = 2
pytestmark = [pytest.mark.needs_hub, pytest.mark.needs_bubblewrap]
# Runs in a kernel of the learner's: it goes on when nobody listens any more.
STREAM = """
import json, os, threading, time
from pathlib import Path
from sparrow.errors import StorageError
from sparrow.lab import start
lab = start("00_preflight")
path = Path("~/labs/00_preflight/00_preflight.ipynb").expanduser()

def stream():
    for number in range(100_000):
        told = json.loads(path.read_text())
        told["cells"][0]["metadata"]["number"] = f"{os.getpid()} {number}"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(told))
        draft.replace(path)
        try:
            lab.submit(path)
        except StorageError:
            time.sleep(0.1)

threading.Thread(target=stream, daemon=True).start()
"""


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with opened(PEOPLE) as made:
        yield made


def receipts(room: Room) -> list[dict[str, Any]]:
    """What the learners hold in their hands."""
    homes = room.place.classroom.places.homes
    return [
        json.loads(each.read_bytes())
        for each in homes.glob("*/sparrow/receipts/*.json")
    ]


def reboot(room: Room, *others: "subprocess.Popen[bytes]") -> None:
    """`kill -9` for everything at once: hub, proxy, window, servers, kernels."""
    assert room.process is not None
    doomed = [
        each
        for process in (room.process, *others)
        for each in (
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        )
    ]
    for each in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
    for account in room.people.accounts.ours():
        room.people.accounts.stop(account)
    for process in (room.process, *others):
        process.wait()
    psutil.wait_procs(doomed, timeout=10)


def grading(room: Room) -> "subprocess.Popen[bytes]":
    """Put what has come in its place, and begin to grade it."""
    room.run("submissions", "collect", LAB)
    line = [sys.executable, "-c", MAIN, "grade", LAB, "--workers", "2"]
    return subprocess.Popen(
        [*line, "--course", str(room.place.course)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_all_that_was_acknowledged_is_there_after_every_reboot(room: Room) -> None:
    entered = {name: room.enter(name) for name, *_rest in PEOPLE}
    for cut in range(CUTS):
        before = len(receipts(room))
        for server in entered.values():
            assert "Error" not in server.ask(STREAM)
        until = time.monotonic() + 120
        while len(receipts(room)) < before + 4:
            assert time.monotonic() < until, "nothing was handed in"
            time.sleep(0.05)
        running = grading(room)
        time.sleep(1.5 * cut)
        assert running.poll() is None
        reboot(room, running)
        assert not room.answers()
        room.start()
        known = found(room)
        for receipt in receipts(room):
            assert known[receipt["hash"]] == receipt["number"]
        # Servers are gone, and start again for whoever was logged in.
        entered = {name: room.enter(name) for name, *_rest in PEOPLE}
    assert len(receipts(room)) >= 4 * CUTS
    assert grading(room).wait() == 0
    assert sorted(
        each.name for each in (room.place.course / "autograded").iterdir()
    ) == [room.account(name) for name, *_rest in PEOPLE]


def found(room: Room) -> dict[str, int]:
    """Hash -> number of all in the record, whose files lie there as handed in."""
    desk = Desk(Course(room.place.course), room.place.classroom)
    known = desk.receipts()
    desk.collect(LAB)  # it looks at the files
    return {each.hash: each.number for each in known}
