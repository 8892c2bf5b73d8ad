"""Forty hand in an attack, five are honest, and one command grades them all.

As root, and as somebody without rights: the sandbox is built in another way then.
"""

import csv
import io
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from nbgrader.api import Gradebook

from sparrow.checks import find
from tests.conftest import missing
from tests.evil import ordinary
from tests.evil import room as rooms
from tests.evil.room import ATTACKS, HONEST, LAB, LIMITS, REFUSED, Room

pytestmark = pytest.mark.needs_bubblewrap

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
MAX_GIB = 4.0  # two boxes, the grader, and what else this machine does
BELONGS = {
    "nbgrader_config.py",
    "solutions",
    "submitted",
    ".workshop",
    "gradebook.db",
    "autograded",
    "feedback",
}
AUTOMATIC = ("0.1", "0.2", "0.3", "0.4", "0.5")


def test_there_are_at_least_25_attacks_and_each_says_what_it_tries() -> None:
    assert len(ATTACKS) >= 25
    for path in ATTACKS.values():
        title, words, code = path.read_text("utf-8").split("\n\n", 2)
        assert title.startswith("# ")
        assert len(words) > 30
        assert code.startswith("```{code-cell}\n")
        assert len(code.splitlines()) < 60


def test_no_attack_earns_harms_slows_or_escapes(tmp_path: Path) -> None:
    look_at(rooms.open_room(tmp_path))


@pytest.mark.skipif(not IS_ROOT, reason="only root makes accounts")
def test_the_same_where_somebody_without_rights_grades(
    request: pytest.FixtureRequest,
) -> None:
    with ordinary.account() as teacher:
        if not teacher.may_make_namespaces():
            missing(request.config, "only root may make user namespaces here")
        course = teacher.folder / "course"
        course.mkdir()
        look_at(rooms.open_room(course, teacher))


def look_at(room: Room) -> None:
    """Nothing was achieved."""
    assert room.status == 1, room.output  # some were refused
    assert harms(room) == [], room.output
    assert formulas(room) == []


def harms(room: Room) -> list[str]:
    """All that an attack achieved, in words."""
    found = []
    with Gradebook(f"sqlite:///{room.course}/gradebook.db") as gradebook:
        graded = {
            each.student.id: each for each in gradebook.assignment_submissions(LAB)
        }
        for name in HONEST:
            earned = sum(
                each.auto_score or 0 for each in graded[name].notebooks[0].grades
            )
            if earned != 17:
                found.append(f"{name} is honest and got {earned}")
        for name in ATTACKS:
            if (name in graded) == (name in REFUSED):
                found.append(f"{name} was graded: {name in graded}")
            if name in graded:
                found += earned_and_told(name, graded[name].notebooks[0], room)
    found += [f"heard: {each!r}" for each in room.heard]
    found += [f"written: {each}" for each in set(os.listdir(room.course)) - BELONGS]
    found += [
        f"runs still: {each.pid}"
        for each in psutil.process_iter(["cmdline"])
        if "sparrow-stays-behind" in " ".join(each.info["cmdline"] or ())
    ]
    if room.least_free_gib > MAX_GIB:
        found.append(f"{room.least_free_gib:.1f} GiB were taken")
    if room.most_processes > rooms.WORKERS * LIMITS["processes"] + 30:
        found.append(f"{room.most_processes} processes were added")
    # All attacks that use up their time, and a second for each to be written down;
    # longer on a machine that was busy with something else before.
    patience_s = len(ATTACKS) * (LIMITS["seconds"] / rooms.WORKERS + 1)
    if room.seconds > patience_s * max(1.0, room.load_before):
        found.append(f"it took {room.seconds:.0f} s")
    return found


def earned_and_told(name: str, notebook: Any, room: Room) -> list[str]:
    """What one attack got: points, or words of somebody else."""
    found = []
    earned = sum(each.auto_score or 0 for each in notebook.grades)
    if earned or notebook.max_score != 20:
        found.append(f"{name} earned {earned} of {notebook.max_score}")
    told = " ".join(each.auto_comment or "" for each in notebook.comments)
    for path in (room.course / "autograded" / name).rglob("*"):
        if path.is_file():
            told += path.read_bytes().decode(errors="replace")
    if room.kept_secret in told:
        found.append(f"{name} found the secret")
    if "ValueError: kept-secret-" in told:
        found.append(f"{name}: {told.split('ValueError: kept-secret-', 1)[1][:200]}")
    return found


def formulas(room: Room) -> list[str]:
    """Cells of the exported marks that a spreadsheet would run."""
    from workshop.marks import export

    table, _waiting = export([], room.course, percent=False)
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    return [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_the_exercises_that_a_class_hands_in_have_checks() -> None:
    assert all(find(number) for number in AUTOMATIC)
