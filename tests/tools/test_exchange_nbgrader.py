"""nbgrader's own commands and panel work at the window, and say one sentence."""

import getpass
import io
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from jupyter_core.application import NoStart
from nbgrader.apps.nbgraderapp import NbGraderApp

from tests.tools import small_course
from tests.tools.small_course import LAB, REPOSITORY
from workshop.classroom import rules
from workshop.exchange.desk import Desk
from workshop.exchange.panel import Assignments
from workshop.exchange.service import Window
from workshop.exchange.shelf import Shelf
from workshop.grading.course import Course

ME = getpass.getuser()
LEARNER = REPOSITORY / "tools/workshop/hub/jupyter/learner"


class Room:
    """A course whose window is open, and a learner's home."""

    def __init__(self, folder: Path, window: Window) -> None:
        self.course, self.window = window.desk.course.root, window
        self.home = folder / "home"
        self.labs = self.home / "labs"
        self.environment = {
            "SPARROW_HOME": str(self.home / "sparrow"),
            "SPARROW_EXCHANGE": str(window.server_address),
            "JUPYTER_CONFIG_PATH": str(LEARNER),
            "JUPYTER_CONFIG_DIR": str(self.home / ".jupyter"),
        }

    def nbgrader(self, *command: str, in_course: bool = False) -> tuple[int, str]:
        """What somebody types after `nbgrader`, as a learner or in the course."""
        heard = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setenv("HOME", str(self.home))
            if in_course:
                patch.delenv("JUPYTER_CONFIG_PATH")
            patch.chdir(self.course if in_course else self.home)
            app = NbGraderApp()  # here, since it takes five seconds to start anew
            with redirect_stderr(heard), redirect_stdout(heard):
                try:
                    app.initialize(list(command))
                    app.start()
                except NoStart:  # so it says that the command has ended well
                    status = 0
                except SystemExit as ended:
                    status = int(ended.code or 0)
            app.subapp.clear_instance()
        return status, heard.getvalue()


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    folder = tmp_path / "course"
    folder.mkdir()
    small_course.make(folder, monkeypatch)
    (folder / "workshop.toml").write_text('[course]\nlabs = "released"\n')
    path = folder / "labs" / LAB / f"{LAB}.ipynb"
    small_course.write(small_course.release(small_course.full_notebook()), path)
    told = Course(folder), rules.of(folder)
    (tmp_path / "home").mkdir()
    with Window(tmp_path / "window", Desk(*told), Shelf(*told)) as window:
        thread = threading.Thread(target=window.serve_forever, daemon=True)
        thread.start()
        yield Room(tmp_path, window)
        window.shutdown()
        thread.join()


@pytest.fixture
def panel(room: Room, monkeypatch: pytest.MonkeyPatch) -> Assignments:
    for name in ("SPARROW_HOME", "SPARROW_EXCHANGE"):
        monkeypatch.setenv(name, room.environment[name])
    return Assignments(room.home, room.labs)


def statuses(panel: Assignments) -> dict[str, str]:
    """What the panel shows: lab -> the list that it stands in."""
    return {x["assignment_id"]: x["status"] for x in panel.list_assignments()["value"]}


def test_a_lab_goes_round_by_nbgraders_own_commands(room: Room) -> None:
    status, said = room.nbgrader("fetch_assignment", LAB)
    assert status == 1
    assert f"There is no lab '{LAB}' to fetch; there are: none yet." in said
    assert room.nbgrader("release_assignment", LAB, in_course=True)[0] == 0
    status, said = room.nbgrader("release_assignment", LAB, in_course=True)
    assert (status, "is released already" in said) == (1, True)
    status, said = room.nbgrader("list")
    assert (status, f"{LAB} (released)" in said) == (0, True)
    assert room.nbgrader("fetch_assignment", LAB)[0] == 0
    path = room.labs / LAB / f"{LAB}.ipynb"
    assert path.read_bytes() == (room.course / "labs" / LAB / path.name).read_bytes()
    small_course.write(small_course.solved(), path)
    mine = path.read_bytes()
    status, said = room.nbgrader("fetch_assignment", LAB)
    assert (status, "is as you left it" in said) == (1, True)
    assert path.read_bytes() == mine
    status, said = room.nbgrader("submit", LAB)
    assert (status, "Your receipt: " in said) == (0, True)
    receipt = json.loads(Path(said.split("receipt: ")[1].split("\n")[0]).read_text())
    assert (receipt["learner"], receipt["number"]) == (ME, 1)
    status, said = room.nbgrader("list", "--inbound", in_course=True)
    assert f"{ME} {LAB} {receipt['at']}" in said
    status, said = room.nbgrader("collect", LAB, in_course=True)
    assert (status, "Collected submissions of" in said) == (0, True)
    collected = room.course / "submitted" / ME / LAB
    assert (collected / path.name).read_bytes() == mine
    assert (collected / "timestamp.txt").read_text().endswith(" UTC")


def test_the_panel_fetches_submits_and_brings_released_feedback(
    room: Room, panel: Assignments
) -> None:
    shelf = room.window.shelf
    shelf.release(LAB)
    assert statuses(panel) == {LAB: "released"}
    assert panel.list_courses() == {"success": True, "value": ["sparrow"]}
    assert panel.do("fetch", LAB)["success"]
    assert statuses(panel) == {LAB: "fetched"}
    assert panel.do("submit", LAB)["success"]
    told = panel.do("fetch_feedback", LAB)
    assert (told["success"], "There is no feedback" in told["value"]) == (False, True)

    def submission() -> dict[str, object]:
        _fetched, handed_in = panel.list_assignments()["value"]
        (found,) = handed_in["submissions"]
        return found

    assert not submission()["has_exchange_feedback"]
    page = room.course / "feedback" / ME / LAB / f"{LAB}.html"
    room.window.desk.collect(LAB)
    shutil.copytree(room.course / "submitted" / ME / LAB, page.parent)
    page.write_text("well done")
    assert not submission()["has_exchange_feedback"]
    assert shelf.give(LAB) == [ME]
    assert submission()["has_exchange_feedback"]
    assert not submission()["has_local_feedback"]
    assert panel.do("fetch_feedback", LAB)["success"]
    assert (room.labs / LAB / "feedback" / page.name).read_text() == "well done"
    assert submission()["local_feedback_path"] == f"labs/{LAB}/feedback"
    page.write_text("better than I thought")
    shelf.give(LAB)
    assert submission()["feedback_updated"]
    page.with_name("timestamp.txt").unlink()  # work that did not come by the window
    shelf.give(LAB)
    assert submission()["has_exchange_feedback"]


def test_what_cannot_be_is_one_sentence_in_the_panel(
    room: Room, panel: Assignments
) -> None:
    room.window.shelf.release(LAB)
    assert panel.do("fetch", LAB)["success"]
    notebook = room.labs / LAB / f"{LAB}.ipynb"
    other = REPOSITORY / "labs" / "tour" / "tour.ipynb"
    kept = notebook.read_bytes()
    shutil.copy(other, notebook)
    told = panel.do("submit", LAB)
    assert told["value"].startswith("This notebook belongs to tour, not to")
    notebook.write_bytes(kept)
    told = panel.do("fetch", LAB)
    assert told["value"].startswith(f"You have {LAB} already")
    assert panel.do("submit", "other")["value"].startswith('There is no lab "other"')
    os.unlink(str(room.window.server_address))
    for told in (panel.do("submit", LAB), panel.list_assignments()):
        assert not told["success"]
        assert told["value"].startswith("Nobody answers where labs are handed in")
        assert "\n" not in told["value"]
    assert room.window.desk.receipts() == []


def test_missing_files_come_back_and_others_stay(
    room: Room, panel: Assignments
) -> None:
    lab = room.course / "labs" / LAB
    (lab / "data.csv").write_text("1,2\n")
    room.window.shelf.release(LAB)
    assert panel.do("fetch", LAB)["success"]
    (room.labs / LAB / "data.csv").unlink()
    (room.labs / LAB / f"{LAB}.ipynb").write_text("mine")
    assert room.nbgrader("fetch_assignment", LAB, "--replace")[0] == 0
    assert (room.labs / LAB / "data.csv").read_text() == "1,2\n"
    assert (room.labs / LAB / f"{LAB}.ipynb").read_text() == "mine"


def test_with_all_labs_there_nothing_is_released_one_by_one(room: Room) -> None:
    (room.course / "workshop.toml").write_text("")
    for command in (["release_assignment", LAB], ["list", LAB, "--remove"]):
        status, said = room.nbgrader(*command, in_course=True)
        assert status == 1
        assert 'write labs = "released" below [course]' in said
    assert room.nbgrader("list", in_course=True)[1].count("(released)") == 1


def test_a_lab_is_withdrawn_and_stays_where_it_was_fetched(
    room: Room, panel: Assignments
) -> None:
    room.window.shelf.release(LAB)
    assert panel.do("fetch", LAB)["success"]
    assert room.nbgrader("list", LAB, "--remove", in_course=True)[0] == 0
    assert room.window.shelf.labs() == []
    assert panel.do("submit", LAB)["success"]
