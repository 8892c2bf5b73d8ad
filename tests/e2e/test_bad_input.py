"""What goes wrong before a workshop opens: one clear sentence each, nothing lost."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.hub_room import MAIN, Room
from tests.small_disk import fill, small_disk

pytestmark = [pytest.mark.needs_hub, pytest.mark.needs_mount]
FULL = "No space left on device"
PEOPLE = ("Ana Silva", "عمر بن علي", "Zoë O'Hara")


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """A workshop whose course and homes lie on small disks; no hub runs."""
    root = Path("/var/tmp") / f"sparrow-room-{os.getpid()}"
    root.mkdir(mode=0o755)
    made = Room(root, f"spt-{os.getpid()}", "localhost", "one")
    homes = made.place.classroom.places.homes
    try:
        with small_disk(made.place.course, 8192), small_disk(homes, 1024):
            made.build()
            yield made
            made.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def refused(room: Room, *words: str, settings: Path | None = None) -> tuple[int, str]:
    """A command that does not do what it was asked: its status and its words."""
    command, *rest = words
    line = [sys.executable, "-c", MAIN, command]
    line += ["--settings", str(settings or room.settings), *rest]
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stderr.strip()


def listing(room: Room, names: Sequence[str], mark: str) -> str:
    """The file that an instructor wrote; its accounts have a mark."""
    file = room.root / "learners.csv"
    rows = [f"{name},{mark}-{at}" for at, name in enumerate(names)]
    file.write_text("\n".join(["name,account", *rows]), "utf-8")
    return str(file)


def enrolled(room: Room) -> list[str]:
    """Everybody who has an account, a place on the list, and a passcode."""
    people = room.people
    accounts = set(people.accounts.ours()) & set(people.passcodes.accounts())
    return [each.name for each in people.listed() if each.account in accounts]


def test_a_clash_of_names_changes_nothing(room: Room) -> None:
    file = room.root / "clash.csv"
    file.write_text("name\nAna Silva\nAna Sílva\n", "utf-8")
    before = room.people.accounts.ours()
    status, said = refused(room, "roster", "import", str(file))
    assert status == 2
    assert said.startswith("Line 3: Ana Sílva would get the account ana-silva")
    assert room.people.accounts.ours() == before


@pytest.mark.parametrize("but_kib", [0, 4])
def test_a_full_disk_of_the_course_stops_an_import_that_can_be_said_again(
    room: Room, but_kib: int
) -> None:
    names = [f"{name} {but_kib}" for name in PEOPLE]
    file = listing(room, names, f"{room.mark}-{but_kib}")
    filler = fill(room.place.course, but_kib=but_kib)
    before = enrolled(room)
    status, said = refused(room, "roster", "import", file)
    assert status == 1
    assert FULL in said
    assert said.count("\n") == 0
    assert enrolled(room) == before
    filler.unlink()
    room.run("roster", "import", file)
    assert set(enrolled(room)) >= set(names)
    room.read_cards()


def test_a_full_disk_of_homes_leaves_no_half_home(room: Room) -> None:
    homes = room.place.classroom.places.homes
    filler = fill(homes)
    file = room.root / "late.csv"
    account = f"{room.mark}-late"
    file.write_text(f"name,account\nLate Comer,{account}\n", "utf-8")
    status, said = refused(room, "roster", "import", str(file))
    assert status == 1
    assert said == f"The home {homes / account} cannot be made ({FULL})."
    filler.unlink()
    room.run("roster", "import", str(file))
    home, skeleton = room.place.home(account), Path("/etc/skel")
    for each in skeleton.rglob("*"):
        copy = home / each.relative_to(skeleton)
        assert copy.read_bytes() == each.read_bytes()
        assert copy.stat().st_uid == pwd.getpwnam(account).pw_uid


def test_a_hub_on_a_disk_that_is_nearly_full_does_not_open(room: Room) -> None:
    status, said = refused(room, "hub")
    assert status == 1
    assert "MiB free and 200 are needed: free some space first." in said


def test_a_port_in_use_is_named(room: Room) -> None:
    """On disks that are large enough."""
    root = room.root / "elsewhere"
    other = Room(root_of(root), room.mark, "localhost", "one")
    port = other.place.classroom.hub.port
    other.build()
    with socket.create_server(("", port)):
        status, said = refused(other, "hub")
    assert status == 1
    assert said == (
        f"Another program listens on port {port}: stop it, or choose another with "
        "port in the table [hub]."
    )


def root_of(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    return folder


def test_an_environment_that_does_not_fit_leaves_the_old_one(room: Room) -> None:
    with small_disk(room.root / "opt", 2048) as disk:
        old = disk / "sparrow"
        old.mkdir()
        (old / "kept").write_text("at work")
        told = room.settings.read_text("utf-8")
        file = room.root / "small.toml"
        file.write_text(told.replace(str(room.place.environment), str(old)), "utf-8")
        status, said = refused(room, "hub", "--install", settings=file)
        assert status == 1
        assert said.splitlines()[-1] == (
            f"{old} cannot be built ({FULL}); what was there is untouched."
        )
        assert [each.name for each in disk.iterdir()] == ["sparrow"]
        assert (old / "kept").read_text() == "at work"
