"""`workshop submissions` shows what came, and says in one sentence what is wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tools import small_course
from tests.tools.small_course import LAB
from tests.tools.test_exchange_desk import notebook
from workshop.classroom import rules
from workshop.classroom.settings import read
from workshop.exchange.command import submissions
from workshop.exchange.desk import Desk
from workshop.exchange.shelf import Shelf
from workshop.grading.course import Course
from workshop.grading.submission import RefusedError


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    course = tmp_path / "course"
    course.mkdir()
    small_course.make(course, monkeypatch)
    path = tmp_path / "workshop.toml"
    path.write_text(f'[places]\ncourse = "{course}"\n')
    return path


def run(settings: Path, *arguments: str) -> tuple[int, str]:
    ran = CliRunner().invoke(submissions, ["--settings", str(settings), *arguments])
    return ran.exit_code, ran.output


def test_what_came_is_listed_and_collected(settings: Path) -> None:
    assert run(settings, "list")[1].endswith("The record is whole; submissions: 0.\n")
    assert run(settings, "collect", LAB)[0] == 0  # nobody yet
    desk = Desk(Course.at(settings.parent / "course"), read(settings))
    desk.take("amina", LAB, notebook(), datetime.now(UTC))
    status, said = run(settings, "list", "--learner", "amina")
    assert status == 0
    assert "amina" in said
    status, said = run(settings, "collect", LAB)
    assert (status, said.split(".")[0]) == (0, f"Collected submissions of {LAB}: 1")
    assert (settings.parent / "course/submitted/amina" / LAB).is_dir()


def test_the_instructor_needs_no_settings_in_the_course(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`workshop.toml` may lie where root alone reads."""
    course = settings.parent / "course"
    monkeypatch.chdir(course)
    ran = CliRunner().invoke(submissions, ["list"])
    assert "There is no" in ran.output
    rules.keep(read(settings))
    Desk(Course.at(course), read(settings)).take(
        "amina", LAB, notebook(), datetime.now(UTC)
    )
    assert CliRunner().invoke(submissions, ["collect", LAB]).exit_code == 0
    assert (course / "submitted/amina" / LAB).is_dir()


def test_a_record_that_was_changed_is_told_in_one_sentence(settings: Path) -> None:
    desk = Desk(Course.at(settings.parent / "course"), read(settings))
    desk.take("amina", LAB, notebook(), datetime.now(UTC))
    desk.take("amina", LAB, notebook(2), datetime.now(UTC))
    path = desk.record.path
    path.write_bytes(path.read_bytes().replace(b"amina", b"mallo", 1))
    for command in (["list"], ["collect", LAB]):
        status, said = run(settings, *command)
        assert status == 1
        assert said.startswith("Line 1 of ")
        assert said.count("\n") == 1


def test_a_clock_that_was_set_back_is_said_and_nothing_is_lost(settings: Path) -> None:
    desk = Desk(Course.at(settings.parent / "course"), read(settings))
    now = datetime.now(UTC)
    desk.take("amina", LAB, notebook(1), now)
    desk.take("amina", LAB, notebook(2), now - timedelta(hours=2))
    status, said = run(settings, "list")
    assert status == 0
    assert "The record is whole; submissions: 2." in said
    assert "At No. 2 the clock stood 120 min before an earlier one" in said
    assert run(settings, "collect", LAB)[0] == 0
    place = settings.parent / "course/submitted/amina" / LAB / f"{LAB}.ipynb"
    assert "guess_years = 2" in place.read_text()  # the numbers keep the order


def test_settings_that_are_not_there(settings: Path) -> None:
    status, said = run(settings.with_name("other.toml"), "list")
    assert status == 2
    assert said.count("\n") == 1


def test_feedback_is_released_by_a_step_to_one_or_to_all(settings: Path) -> None:
    course = settings.parent / "course"
    status, said = run(settings, "release-feedback", LAB)
    assert (status, said.count("\n")) == (1, 1)
    assert f"workshop grade {LAB} --feedback" in said
    for learner in ("amina", "sean"):
        page = course / "feedback" / learner / LAB / f"{LAB}.html"
        page.parent.mkdir(parents=True)
        page.write_text(learner)
    shelf = Shelf(Course.at(course), read(settings))
    assert run(settings, "release-feedback", LAB, "--learner", "sean")[0] == 0
    assert shelf.feedback("sean", LAB) == {f"{LAB}.html": b"sean"}
    with pytest.raises(RefusedError, match="no feedback"):
        shelf.feedback("amina", LAB)
    status, said = run(settings, "release-feedback", LAB)
    assert (status, said) == (0, f"2 learners can read about {LAB} now.\n")
    assert shelf.feedback("amina", LAB) == {f"{LAB}.html": b"amina"}
