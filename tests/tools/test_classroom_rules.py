"""What a course folder keeps of `workshop.toml` says the same, to its owner alone."""

from datetime import datetime
from pathlib import Path

import pytest

from workshop.classroom import rules, settings
from workshop.classroom.demands import SettingsError

TOML = """
[course]
time_zone = "Africa/Nairobi"
labs = "released"
gradebook = "postgresql://teacher:passcode@db.lan/sparrow"
[late]
grace_minutes = 5
percent_a_day = 10
[deadlines]
02_latent_attention = 2026-12-04T18:00:00
[places]
environment = "/somewhere/environment"
course = "{course}"
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    made = tmp_path / "course"
    (made / ".workshop").mkdir(parents=True)
    return made


def test_what_the_hub_keeps_in_the_course_is_what_the_file_said(
    tmp_path: Path, course: Path
) -> None:
    path = tmp_path / "workshop.toml"
    path.write_text(TOML.format(course=course), "utf-8")
    told = settings.read(path)
    rules.keep(told)
    found = rules.of(course)
    assert found.late == told.late
    assert found.deadlines == told.deadlines
    assert (found.course.labs, found.course.gradebook) == (
        told.course.labs,
        told.course.gradebook,
    )
    assert found.places.environment == told.places.environment
    kept = course / ".workshop" / "rules.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_file_in_the_course_itself_is_read_first(course: Path) -> None:
    told = TOML.format(course=course)
    (course / "workshop.toml").write_text(told, "utf-8")
    rules.keep(rules.of(course))
    changed = told.replace("percent_a_day = 10", "percent_a_day = 20")
    (course / "workshop.toml").write_text(changed, "utf-8")
    assert rules.of(course).late.percent_a_day == 20
    (course / "workshop.toml").unlink()
    found = rules.of(course)
    assert found.late.percent_a_day == 10
    due = datetime.fromisoformat("2026-12-04T18:00:00+03:00")
    assert found.deadlines == {"02_latent_attention": due}


def test_without_either_everything_is_as_by_default(course: Path) -> None:
    assert rules.of(course) == settings.from_tables({}, course)


@pytest.mark.parametrize("text", ["", "[]", '{"late": {}}', '{"deadlines": {"a": 1}}'])
def test_a_damaged_file_is_one_sentence(course: Path, text: str) -> None:
    (course / ".workshop" / "rules.json").write_text(text)
    with pytest.raises(SettingsError, match="start `workshop hub` again"):
        rules.of(course)
