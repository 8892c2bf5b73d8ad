"""The gradebook may be PostgreSQL: the same marks, and the same in formgrader."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nbgrader.apps import NbGraderAPI

from tests.tools import postgresql, small_course
from tests.tools.small_course import LAB
from workshop.grading.command import grade
from workshop.grading.course import Course
from workshop.grading.pipeline import Pipeline
from workshop.marks import marks

OWN = ("id", "index")  # random, and the order that follows from it
NAMES = ("amina", "sean", "ömer")
TOML = f"""
[course]
gradebook = "{{url}}"
[late]
percent_a_day = 20
[deadlines]
{LAB} = 2026-12-01T12:00:00
"""
pytestmark = [pytest.mark.needs_bubblewrap, pytest.mark.needs_postgresql]


@pytest.fixture
def url() -> Iterator[str]:
    with postgresql.opened() as found:
        yield found


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One who solved it, one who solved half of it too late, one who did nothing."""
    made = small_course.make(tmp_path, monkeypatch)
    half = small_course.answered(answer_0_2=small_course.EFFORT.strip())
    empty = small_course.release(small_course.full_notebook())
    for name, answer in zip(NAMES, (small_course.solved(), half, empty), strict=True):
        small_course.hand_in(made, name, answer)
    (made / "submitted/sean" / LAB / "timestamp.txt").write_text("2026-12-01 13:00 UTC")
    return made


def seen(course: Path, url: str) -> tuple[str, Any, Any]:
    """Graded with this gradebook: the exported marks, and formgrader's pages."""
    (course / "workshop.toml").write_text(TOML.format(url=url), "utf-8")
    ran = CliRunner().invoke(grade, [LAB, "--course", str(course), "--workers", "1"])
    assert ran.exit_code == 0, ran.output
    exported = CliRunner().invoke(marks, ["--course", str(course)])
    assert exported.exit_code == 0, exported.output
    pipeline = Pipeline(Course(course))
    before = os.getcwd()
    os.chdir(course)
    try:
        api = NbGraderAPI(pipeline.directory, config=pipeline.config)
        pages = [
            api.get_assignment(LAB),
            *api.get_submissions(LAB),
            *api.get_students(),
        ]
        answers = api.get_notebook_submissions(LAB, LAB)
    finally:
        os.chdir(before)
    answers.sort(key=lambda each: str(each["student"]))
    return exported.stdout, [_plain(x) for x in pages], [_plain(x) for x in answers]


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in OWN}


def test_postgresql_and_sqlite_agree_on_a_class(course: Path, url: str) -> None:
    assert importlib.util.find_spec("psycopg"), "install the extra postgresql"
    in_server = seen(course, url)
    assert not (course / "gradebook.db").exists()
    in_file = seen(course, "")
    assert (course / "gradebook.db").exists()
    assert in_server == in_file
    assert "sean,,,3.2," in in_server[0]  # four points, one day late
    assert len(in_server[1]) == 1 + 2 * len(NAMES)
