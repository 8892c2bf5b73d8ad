"""Everybody is heard at the board, as themselves, and as often as is fair."""

import asyncio
import contextlib
import getpass
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparrow.checks.judging import GroupResult, Outcome
from sparrow.lab import board
from workshop.board import service
from workshop.board.service import Listener
from workshop.board.store import Store

LAB = "02_latent_attention"
ME = getpass.getuser()
PASSED = {"lab": LAB, "exercise": "2.4", "passed": True, "cause": ""}
WRONG = {**PASSED, "passed": False}


class Running:
    """A listener in a thread of its own."""

    def __init__(self, path: Path, enrolled: set[str]) -> None:
        self.path = path
        self.listener = Listener(
            Store(path.with_name("board.sqlite")), lambda: enrolled, lambda: 1000.0
        )
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.listener.serve(path))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        async def close() -> None:
            self.server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "window", {ME})
    yield made
    made.stop()


def say(path: Path, told: object) -> bytes:
    """Send a line; the answer."""
    text = told if isinstance(told, bytes) else json.dumps(told).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        try:
            line.connect(str(path))
            line.sendall(text)
            line.shutdown(socket.SHUT_WR)
            return line.recv(100)
        except (BrokenPipeError, ConnectionResetError):  # it has not read all
            return b""


def test_what_is_told_is_kept_under_the_account_that_the_kernel_names(running):
    assert say(running.path, PASSED) == service.TAKEN
    (work,) = running.listener.store.work()
    assert (work.account, work.exercise, work.passed_at) == (ME, "2.4", 1000.0)


def test_a_check_of_the_library_is_heard(running, monkeypatch):
    monkeypatch.setenv("SPARROW_BOARD", str(running.path))
    assert board.agree(True)
    board.tell(LAB, Outcome("2.4", (GroupResult("one", 1.0, True),)))
    until = time.monotonic() + 5
    while not running.listener.store.work() and time.monotonic() < until:
        time.sleep(0.01)
    assert running.listener.store.work()[0].exercise == "2.4"
    assert board.agree(False)
    assert running.listener.store.people() == set()
    assert running.listener.store.work() == []


def test_who_is_no_learner_of_the_course_is_not_kept(tmp_path):
    running = Running(tmp_path / "window", {"somebody-else"})
    try:
        assert say(running.path, PASSED) == b""
        assert say(running.path, {"share": True}) == b""
        assert running.listener.store.people() == set()
    finally:
        running.stop()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"no json\n",
        b"x" * 100_000,
        b'{"share": true, "account": "eve"}\n',
        json.dumps({**PASSED, "account": "eve"}).encode() + b"\n",
        json.dumps({**PASSED, "lab": "11_none"}).encode() + b"\n",
        json.dumps({**PASSED, "cause": "x" * 600}).encode() + b"\n",
    ],
)
def test_nonsense_is_not_taken_and_the_next_one_is_heard(running, text):
    assert say(running.path, text) == b""
    assert running.listener.store.people() == set()
    assert say(running.path, PASSED) == service.TAKEN


def test_a_flood_is_cut_off(running):
    taken = sum(say(running.path, WRONG) == service.TAKEN for _each in range(80))
    assert service.AT_ONCE <= taken <= service.AT_ONCE + 10
    (work,) = running.listener.store.work()
    assert work.tries == taken


def test_who_says_nothing_is_let_go_and_keeps_few_places(running, monkeypatch):
    monkeypatch.setattr(service, "WAIT_S", 0.5)
    with contextlib.ExitStack() as silent:
        for _each in range(20):
            line = silent.enter_context(socket.socket(socket.AF_UNIX))
            line.connect(str(running.path))
        assert say(running.path, PASSED) == b""  # too many of one account are open
        until = time.monotonic() + 10
        while say(running.path, PASSED) != service.TAKEN:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert running.listener.open[ME] <= service.MOST_OPEN


def test_a_full_disk_refuses_one_event_and_the_next_is_heard(running, monkeypatch):
    import sqlite3

    def full(*_given):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "note", full)
        assert say(running.path, PASSED) == b""
    assert say(running.path, PASSED) == service.TAKEN


def test_everybody_may_come_to_the_socket(running):
    assert running.path.stat().st_mode & 0o777 == 0o666


def test_what_was_told_survives_kill_9(tmp_path):
    private = tmp_path / ".workshop"
    private.mkdir()
    (private / "roster.json").write_text(json.dumps([{"account": ME, "name": "Me"}]))
    window = tmp_path / "window"
    told = json.dumps({"socket": str(window), "course": str(tmp_path)})
    line = [sys.executable, "-m", "workshop.board.service", told]
    for tries in (1, 2):
        process = subprocess.Popen(line, env={**os.environ})
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    assert say(window, WRONG) == service.TAKEN
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    assert time.monotonic() < until
                    time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
        (work,) = Store(private / "board.sqlite").work()
        assert work.tries == tries
    assert (private / "board.sqlite").stat().st_mode & 0o777 == 0o600
