"""`workshop rehearse`: a small class in a real hub, and nothing left of it."""

import grp
import json
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hub_room import MAIN, Room
from tests.e2e.rehearsal import LAB, installed

pytestmark = pytest.mark.needs_hub


@pytest.fixture
def room() -> Iterator[Room]:
    with installed() as made:
        yield made


def test_three_come_work_hand_in_and_leave_no_trace(room: Room) -> None:
    course = sorted(room.place.course.rglob("*"))
    told = json.loads(room.run("rehearse", "--learners", "3", "--lab", LAB, "--json"))
    assert told["went_well"]
    assert told["errors"] == []
    assert told["handed_in"] == 3
    assert {step: len(each) for step, each in told["seconds"].items()} == {
        "log_in": 3,
        "open": 3,
        "run": 3,
        "hand_in": 3,
    }
    # Each has a server and a kernel with PyTorch; what is shared counts once.
    assert all(100 < each["pss_mib"] < each["rss_mib"] for each in told["memory"])
    assert not [each for each in pwd.getpwall() if each.pw_name.startswith("try-")]
    assert not [each for each in grp.getgrall() if each.gr_name.startswith("try-")]
    assert not list(Path("/var/tmp").glob("sparrow-rehearsal-*"))
    assert sorted(room.place.course.rglob("*")) == course


def test_a_room_that_was_not_installed_is_one_sentence(room: Room) -> None:
    room.place.python.unlink()
    line = [sys.executable, "-c", MAIN, "rehearse", "--settings", str(room.settings)]
    ran = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "build it with `workshop hub --install`" in ran.stderr.splitlines()[-1]
    assert not list(Path("/var/tmp").glob("sparrow-rehearsal-*"))
