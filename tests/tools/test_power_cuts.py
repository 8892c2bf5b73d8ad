"""Cut off at any moment, nothing that was thanked for is lost, or graded twice."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from sparrow.errors import StorageError
from sparrow.lab.window import hand_in_at
from tests.tools import small_course
from tests.tools.small_course import LAB
from tests.tools.test_exchange_desk import notebook
from workshop.classroom.settings import from_tables
from workshop.exchange.desk import Desk
from workshop.grading.course import Course
from workshop.grading.kept import FOLDER

CUTS = 5
SENDERS = 4
START_S = 240  # on a machine that is busy with other tests
HERE = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
MAIN = "from workshop.cli import main; main()"


class Senders:
    """Learners who hand in one notebook after the other, and keep their receipts."""

    def __init__(self, window: Path) -> None:
        self.window, self.receipts = window, list[dict[str, Any]]()
        self.refusals = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,))
            for number in range(SENDERS)
        ]

    def __enter__(self) -> "Senders":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _send(self, number: int) -> None:
        guess = 1_000_000 * (number + 1)
        while not self._stop.is_set():
            guess += 1
            try:
                self.receipts.append(hand_in_at(self.window, LAB, notebook(guess)))
            except StorageError:
                self.refusals += 1
                time.sleep(0.05)


def window_opened(course: Path, path: Path) -> "subprocess.Popen[bytes]":
    """The service, as the hub starts it."""
    serve = [sys.executable, "-m", "workshop.exchange.service"]
    return subprocess.Popen([*serve, str(path), str(course)], env=HERE)


def test_every_receipt_is_found_however_often_the_window_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = tmp_path / "course"
    course.mkdir()
    small_course.make(course, monkeypatch)
    path = tmp_path / "window"
    drawn = random.Random(1)
    with Senders(path) as senders:
        for _cut in range(CUTS):
            taken, until = len(senders.receipts), time.monotonic() + START_S
            with window_opened(course, path) as running:
                try:
                    while len(senders.receipts) < taken + 3:
                        assert running.poll() is None, "the window ended by itself"
                        assert time.monotonic() < until, "the window took nothing"
                        time.sleep(0.01)
                    time.sleep(drawn.uniform(0.0, 0.3))
                finally:
                    running.kill()
    assert senders.refusals >= CUTS
    desk = Desk(Course(course), from_tables({}, tmp_path))
    known = {each.hash: each for each in desk.receipts()}  # and the record is whole
    digests = {digest(each) for each in desk.kept.rglob("*.ipynb")}
    for receipt in senders.receipts:
        assert known[receipt["hash"]].number == receipt["number"]
        assert set(receipt["files"].values()) <= digests
    assert len({each["number"] for each in senders.receipts}) == len(senders.receipts)
    # What was half written when the cut came is cleared away by the next start.
    desk.clear_up()
    assert not list(desk.kept.rglob(".coming-*"))
    assert len(desk.collect(LAB)) == 1


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


REAL = "00_preflight"
LEARNERS = [f"learner{number:02}" for number in range(5)]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Five who earn different marks."""
    made = tmp_path / "course"
    repository = small_course.REPOSITORY
    source = made / "solutions" / REAL
    shutil.copytree(repository / "solutions" / REAL, source)
    shutil.copy(repository / "nbgrader_config.py", made)
    full = nbformat.read(source / f"{REAL}.ipynb", as_version=4)
    answers = [
        each
        for each in full.cells
        if each.id.startswith("answer-") and each.cell_type == "code"
    ]
    for number, learner in enumerate(LEARNERS):
        if number:
            answers[number - 1].source = f"# nothing by {learner}"
        small_course.write(full, made / "submitted" / learner / REAL / f"{REAL}.ipynb")
    Course(made).secret()
    return made


def grading(course: Path) -> "subprocess.Popen[bytes]":
    """`workshop grade`, with all it starts in a group of its own."""
    line = [sys.executable, "-c", MAIN, "grade", REAL]
    return subprocess.Popen(
        [*line, "--course", str(course), "--workers", "2"],
        env=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def marks(course: Path) -> dict[tuple[str, str], tuple[object, ...]]:
    """(learner, cell) -> what stands in the gradebook."""
    found = {}
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        submissions = gradebook.assignment_submissions(REAL)
        assert sorted(each.student.id for each in submissions) == LEARNERS
        for each in submissions:
            (written,) = each.notebooks
            for grade in written.grades:
                key = (each.student.id, grade.name)
                assert key not in found
                found[key] = (grade.auto_score, grade.needs_manual_grade)
    return found


def times(course: Path) -> dict[str, int]:
    """What is known so far, and when it was written."""
    kept = (course / FOLDER / REAL).rglob("*.*")
    done = (course / "autograded").rglob("*.ipynb")
    return {
        str(each): each.stat().st_mtime_ns
        for each in (*kept, *done)
        if each.suffix in (".json", ".sha256")
    }


@pytest.fixture
def undisturbed(course: Path, tmp_path: Path) -> dict[Any, Any]:
    """What the same submissions earn when nothing is cut off."""
    copy = tmp_path / "copy"
    shutil.copytree(course, copy)
    assert grading(copy).wait() == 0
    found = marks(copy)
    earned = {key[0]: 0.0 for key in found}
    for (learner, _cell), (score, _waits) in found.items():
        earned[learner] += float(score or 0)  # type: ignore[arg-type]
    assert len(set(earned.values())) >= 4, earned
    return found


WARM_AFTER_S = 5.0  # a sandbox, also on a busy machine


@pytest.mark.needs_bubblewrap
def test_grading_that_is_killed_again_and_again_ends_as_if_it_never_was(
    course: Path, undisturbed: dict[Any, Any]
) -> None:
    drawn = random.Random(2)
    known: dict[str, int] = {}
    for cut in range(3):
        running = grading(course)
        until = time.monotonic() + START_S
        # Further each time: before, between and after the marks are written.
        while len(times(course)) < 2 + 3 * cut and running.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(drawn.uniform(0.0, 0.4))
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        now = times(course)
        assert {each: now.get(each) for each in known} == known, "done twice, or lost"
        known = now
    assert grading(course).wait() == 0
    now = times(course)
    assert {each: now.get(each) for each in known} == known
    assert marks(course) == undisturbed


@pytest.mark.needs_bubblewrap
def test_sandboxes_that_are_killed_cost_nobody_a_point(
    course: Path, undisturbed: dict[Any, Any]
) -> None:
    drawn = random.Random(3)
    running = grading(course)
    killed = 0
    while running.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
            boxes = [
                each
                for each in psutil.Process(running.pid).children()
                if "bwrap" in each.name()
                and time.time() - each.create_time() > WARM_AFTER_S
            ]
            # Warm ones only: one that never gets ready is a machine that cannot grade.
            if boxes and times(course) and killed < 4:
                drawn.choice(boxes).kill()
                killed += 1
        time.sleep(drawn.uniform(0.05, 0.3))
    assert running.returncode == 0
    assert killed
    assert marks(course) == undisturbed
