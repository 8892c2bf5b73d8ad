"""A room for one evening: the same programs, other people, and nothing left of it.

Course, state and homes of the real workshop are never touched; its hub may run beside.
"""

import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom import passcodes, settings, tls
from workshop.classroom.people import People
from workshop.classroom.place import Place
from workshop.classroom.tables import Classroom, LateTable, PlacesTable
from workshop.hub import install, ready
from workshop.hub.command import end

__all__ = ["RehearsalError", "Room", "opened"]

FOLDER = "/var/tmp"  # on a disk, and everybody may pass
START_S = 180
OWN = {"share", "pyvenv.cfg"}
SOCKETS = {"exchange", "board"}  # what another hub listens at


class RehearsalError(SparrowError):
    """A rehearsal that cannot begin or had to stop."""


@contextmanager
def opened(classroom: Classroom, learners: int) -> Iterator["Room"]:
    """A hub of its own with so many learners; all of it is removed afterwards.

    Raises:
        SparrowError: an account cannot be made, or the hub does not start.
    """
    if not Place(classroom).python.exists():
        raise RehearsalError(
            _(
                "There is no environment in {folder}: build it with `workshop hub "
                "--install`.",
                folder=Place(classroom).environment,
            )
        )
    root = Path(tempfile.mkdtemp(prefix="sparrow-rehearsal-", dir=FOLDER))
    root.chmod(0o755)
    room = Room(root, classroom)
    try:
        room.build(learners)
        room.start()
        yield room
    finally:
        room.close()


class Room:
    """The hub of a rehearsal, and its learners with their passcodes."""

    def __init__(self, root: Path, classroom: Classroom) -> None:
        mark = f"try-{secrets.token_hex(3)}"  # of our accounts: no others are touched
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.root, self.mark, self.real = root, mark, Place(classroom)
        self.classroom = replace(
            classroom,
            hub=replace(
                classroom.hub,
                name="localhost",
                port=port,
                origins="one",
                instructor=f"{mark}-teacher",
            ),
            roster=replace(classroom.roster, group=mark),
            late=LateTable(),
            deadlines={},
            places=PlacesTable(
                **{
                    name: root / name
                    for name in ("environment", "course", "homes", "state")
                }
            ),
        )
        self.people = People(self.classroom)
        self.home = tls.address(self.classroom)
        self.passcodes: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def build(self, learners: int) -> None:
        """Programs by links, a course, and an account and a passcode for each."""
        _link_programs(self.real.environment, self.people.place.environment)
        install.install_course(self.people)
        for number in range(1, learners + 1):
            account = f"{self.mark}-{number:03}"
            self.people.accounts.add(account)
            self.passcodes[account] = passcodes.make()
        self.people.passcodes.give(self.passcodes)

    def start(self) -> None:
        """Start the hub, and wait until people can log in.

        Raises:
            RehearsalError: it does not start; its last words are in the sentence.
        """
        file = self.root / settings.FILE
        file.write_text(settings.written(self.classroom), "utf-8")
        ready.check(self.people)
        place = self.people.place
        log = self.root / "hub.log"
        tls.ensure(place)
        with log.open("wb") as written:
            self._process = subprocess.Popen(
                [place.python, "-I", "-m", ready.HUB],
                cwd=place.state,
                env={**os.environ, "WORKSHOP_SETTINGS": str(file)},
                stdout=written,
                stderr=written,
            )
        until = time.monotonic() + START_S
        with self.visitor() as visitor:
            while time.monotonic() < until and self._process.poll() is None:
                with suppress(httpx.HTTPError):
                    if visitor.get("/hub/login").status_code == 200:
                        return
                time.sleep(0.3)
        said = log.read_text("utf-8", "replace").strip().splitlines()
        reason = (said or ["?"])[-1]
        raise RehearsalError(_("The hub did not start: {reason}", reason=reason))

    @property
    def certificate(self) -> Path:
        """What browsers are told to trust."""
        return self.people.place.state / "tls/certificate.pem"

    def visitor(self) -> httpx.Client:
        """A browser that trusts this hub."""
        return httpx.Client(
            base_url=self.home,
            verify=ssl.create_default_context(cafile=str(self.certificate)),
            follow_redirects=True,
            timeout=START_S,
        )

    def end_servers(self) -> None:
        """End everybody's processes, such as when memory runs out."""
        for account in self.passcodes:
            with suppress(SparrowError, KeyError):
                self.people.accounts.stop(account)

    def close(self) -> None:
        """Stop everything; remove the accounts, the group and the folder."""
        with suppress(SparrowError):
            end(self.people)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=30)
        for account in self.people.accounts.ours():
            assert account.startswith(self.mark)
            self.people.accounts.remove(account)
        subprocess.run(["groupdel", self.mark], check=False, capture_output=True)
        shutil.rmtree(self.root, ignore_errors=True)


def _link_programs(real: Path, own: Path) -> None:
    """The same programs, labs and book; but a window of our own for handing in."""
    shared = own / "share/sparrow"
    shared.mkdir(parents=True)
    shutil.copy(real / "pyvenv.cfg", own)
    for folder, others in ((real, OWN), (real / "share", {"sparrow"})):
        for each in folder.iterdir():
            if each.name not in others:
                (own / each.relative_to(real)).symlink_to(each)
    for each in (real / "share/sparrow").iterdir():
        if each.name not in SOCKETS:
            (shared / each.name).symlink_to(each)
