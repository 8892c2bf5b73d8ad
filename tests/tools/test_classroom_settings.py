"""`workshop.toml`: everything has a default, and nothing wrong passes."""

import tomllib
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path

import pytest

from workshop.classroom import settings
from workshop.classroom.tables import TABLES, Classroom


def told(**tables) -> Classroom:
    return settings.from_tables(tables, Path("/course"))


def test_the_example_is_whole_and_says_the_defaults():
    example = settings.example()
    assert settings.from_tables(tomllib.loads(example), Path("/x")) == told_nothing()
    for name, table in TABLES.items():
        assert f"\n[{name}]  # " in example
        for each in fields(table):
            assert f"\n{each.name} =" in example or f"\n# {each.name} =" in example


def told_nothing() -> Classroom:
    return settings.from_tables({}, Path("/x"))


def test_a_file_is_read_with_its_dates_and_its_clock(tmp_path):
    path = tmp_path / "workshop.toml"
    path.write_text(
        '[course]\ntime_zone = "Africa/Nairobi"\nfirst_day = 2026-11-30\n'
        "[limits]\ncpu_cores = 1\n"
        "[deadlines]\n02_latent_attention = 2026-12-04T18:00:00\n",
        "utf-8",
    )
    found = settings.read(path)
    assert found.course.first_day.isoformat() == "2026-11-30"
    assert found.limits.cpu_cores == 1.0
    due = found.deadlines["02_latent_attention"]
    assert due.isoformat() == "2026-12-04T18:00:00+03:00"
    assert found.roster_path == tmp_path / "learners.csv"


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"hubb": {}}, "no table [hubb] (did you mean hub?)"),
        ({"hub": {"prot": 1}}, "no setting prot (did you mean port?)"),
        ({"hub": 3}, "Write [hub] as a table"),
        ({"hub": {"port": "443"}}, 'hub.port must be a whole number; got "443".'),
        ({"hub": {"port": True}}, "hub.port must be a whole number"),
        ({"board": {"on": 1}}, "board.on must be true or false; got 1."),
        ({"hub": {"port": 0}}, "hub.port must be from 1 to 65535, got 0."),
        ({"hub": {"origins": "all"}}, 'one of auto, person, one; got "all".'),
        ({"hub": {"name": "a b"}}, 'hub.name is "a b"; write it like "sparrow.lan".'),
        ({"hub": {"instructor": "Me"}}, 'hub.instructor is "Me"'),
        ({"course": {"time_zone": "Africa/Nairoby"}}, "did you mean Africa/Nairobi?"),
        ({"course": {"languages": "en"}}, "must be a list of words in quotes"),
        ({"course": {"languages": []}}, "course.languages is empty"),
        ({"course": {"labs": "some"}}, 'one of all, released; got "some".'),
        (
            {"course": {"gradebook": "marks.db"}},
            'write it like "postgresql:///sparrow"',
        ),
        ({"course": {"languages": ["English"]}}, 'write it like "pt_BR"'),
        ({"course": {"first_day": "Monday"}}, "must be a date without quotes"),
        ({"course": {"tier": "tpu"}}, "one of cpu, gpu"),
        ({"limits": {"memory_mib": 10}}, "limits.memory_mib must be at least 256"),
        ({"limits": {"cpu_cores": float("nan")}}, "must be at least 0.1, got nan"),
        ({"late": {"percent_a_day": 101}}, "must be from 0 to 100"),
        ({"cost": {"currency": "euro"}}, 'write it like "KES"'),
        ({"places": {"homes": "homes"}}, "write the whole path"),
        ({"places": {"homes": "/opt/sparrow/h"}}, "homes lies inside places.environm"),
        (
            {"deadlines": {"02_latent_attention": "soon"}},
            "deadlines.02_latent_attention must be a date and a time",
        ),
        (
            {"deadlines": {"02_latent_atention": datetime(2026, 12, 4, 18)}},
            "did you mean 02_latent_attention?",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(tables, sentence):
    with pytest.raises(settings.SettingsError) as caught:
        told(**tables)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_last_day_is_not_before_the_first():
    days = tomllib.loads("first_day = 2026-12-01\nlast_day = 2026-11-30")
    with pytest.raises(settings.SettingsError, match="lies before"):
        told(course=days)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "workshop hub --example > workshop.toml"), ("[hub", "cannot be read")],
)
def test_a_file_that_cannot_be_read_says_so(tmp_path, text, sentence):
    path = tmp_path / "workshop.toml"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(settings.SettingsError, match=sentence):
        settings.read(path)


def test_what_is_written_is_read_again_as_it_was():
    tables = {
        "course": {"title": 'Say "hi" \\ نماذج', "languages": ["ar", "en"]},
        "limits": {"cpu_cores": 1.5},
        "places": {"homes": "/srv/our homes"},
    }
    days = tomllib.loads("first_day = 2026-11-30")
    given = told(**{**tables, "course": {**tables["course"], **days}})
    text = settings.written(given)
    assert settings.from_tables(tomllib.loads(text), Path("/course")) == given


def test_the_days_are_told_as_far_as_they_are_known():
    first, last = date(2026, 11, 30), date(2026, 12, 4)
    both = {"first_day": first, "last_day": last}
    assert told(course=both).course.days == "2026-11-30 – 2026-12-04"
    assert told(course={"first_day": first}).course.days == "2026-11-30"
    assert told().course.days == ""
