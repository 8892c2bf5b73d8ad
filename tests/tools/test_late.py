"""Late work costs what `workshop.toml` says, wherever its marks are shown."""

import csv
import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook

from tests.tools import small_course
from tests.tools.small_course import LAB
from workshop.classroom.tables import LateTable
from workshop.grading.command import grade
from workshop.grading.course import Course
from workshop.grading.late import penalty
from workshop.grading.pipeline import Pipeline
from workshop.marks import marks

DAY_S = 86_400
RULES = LateTable(grace_minutes=10, percent_a_day=25)
TOML = f"""
[late]
grace_minutes = 10
percent_a_day = 25
[deadlines]
{LAB} = 2026-12-01T12:00:00
"""


@pytest.mark.parametrize(
    ("seconds_late", "taken"),
    [
        (-3600, 0.0),  # the clock jumped back
        (0, 0.0),
        (600, 0.0),  # the last moment of the grace
        (601, 2.0),  # the first day has begun
        (600 + DAY_S, 2.0),
        (601 + DAY_S, 4.0),
        (600 + 4 * DAY_S, 8.0),
        (40 * DAY_S, 8.0),  # at most all points
    ],
)
def test_each_day_that_has_begun_after_the_grace_costs_its_share(
    seconds_late: float, taken: float
) -> None:
    assert penalty(8.0, seconds_late, RULES) == taken


def test_without_a_percentage_late_costs_nothing() -> None:
    assert penalty(8.0, 9 * DAY_S, LateTable()) == 0


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Amina is in time, Sean a day and a quarter of an hour late."""
    made = small_course.make(tmp_path, monkeypatch)
    (made / "workshop.toml").write_text(TOML, "utf-8")
    for learner, at in (("amina", "12:09:00"), ("sean", "12:15:00")):
        path = small_course.hand_in(made, learner, small_course.solved())
        day = 1 if learner == "amina" else 2
        path.with_name("timestamp.txt").write_text(f"2026-12-0{day} {at} UTC")
    return made


def exported(course: Path) -> dict[str, str]:
    """Account -> total, as the instructor exports it."""
    ran = CliRunner().invoke(marks, ["--course", str(course)])
    assert ran.exit_code == 0, ran.output
    table = csv.DictReader(io.StringIO(ran.stdout))
    return {row["username"]: row["total"] for row in table}


@pytest.mark.needs_bubblewrap
def test_table_gradebook_feedback_and_export_take_off_the_same(course: Path) -> None:
    ran = CliRunner().invoke(grade, [LAB, "--course", str(course), "--feedback"])
    assert ran.exit_code == 0, ran.output
    row = next(line for line in ran.output.splitlines() if "sean" in line)
    assert "−5" in row  # two days have begun: half of the ten points that stand there
    assert "5 + ·" in row
    assert exported(course) == {"amina": "10", "sean": "5"}
    pages = {
        who: (course / "feedback" / who / LAB / f"{LAB}.html").read_text("utf-8")
        for who in ("amina", "sean")
    }
    assert "<td>−5</td>" in pages["sean"]
    assert "Late" not in pages["amina"]
    # a person gives points, and the rules change: what is exported follows
    directory = Pipeline(Course(course)).directory
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        due = gradebook.find_assignment(LAB).duedate
        assert due.isoformat() == "2026-12-01T12:00:00"
        for who in ("amina", "sean"):
            written = gradebook.find_grade("answer-0-6", LAB, LAB, who)
            written.manual_score, written.needs_manual_grade = 2.0, False
        gradebook.db.commit()
    assert exported(course) == {"amina": "12", "sean": "6"}
    toml = course / "workshop.toml"
    toml.write_text(TOML.replace("= 25", "= 10"), "utf-8")
    assert exported(course) == {"amina": "12", "sean": "9.6"}
    toml.write_text(TOML.replace("2026-12-01", "2026-12-02"), "utf-8")
    assert exported(course) == {"amina": "12", "sean": "9"}  # 5 min after the grace
