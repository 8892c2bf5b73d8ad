"""Marks go into a table that imports cleanly, whatever people are called."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tools import small_course
from tests.tools.small_course import LAB
from workshop.grading.command import grade
from workshop.marks import Row, as_csv, harmless, marks

AMINA, OBRIEN = "أمينة بن صالح", 'Seán O\'Brien, "the second"'
POINTS = {"00_preflight": 10.0, "02_latent_attention": 24.0}


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), strict=True))


def test_names_in_any_script_and_with_any_sign_come_back_whole() -> None:
    found = [
        Row("amina", AMINA, "amina@example.org", {"00_preflight": 7.5}),
        Row("sean", OBRIEN, "", {"00_preflight": 10.0, "02_latent_attention": 12.0}, 1),
    ]
    head, amina, sean = read(as_csv(found, POINTS))
    assert head == ["username", "name", "email", *POINTS, "total", "waiting"]
    assert amina == ["amina", AMINA, "amina@example.org", "7.5", "", "7.5", "0"]
    assert sean == ["sean", OBRIEN, "", "10", "12", "22", "1"]
    shares = read(as_csv(found, POINTS, percent=True))
    assert shares[2][3:6] == ["100", "50", "64.706"]


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+49 30", "-2", "@SUM(A1)", "\t=1+1", "\r=1+1", " =cmd|'/C calc'!A0"],
)
def test_no_name_is_a_formula(name: str) -> None:
    (cell,) = [row[1] for row in read(as_csv([Row("x", name)], POINTS))[1:]]
    assert cell.startswith("'")
    assert cell.isprintable()
    assert harmless(OBRIEN) == OBRIEN


@pytest.mark.needs_bubblewrap
def test_what_was_graded_is_exported_with_the_names_of_the_roster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = small_course.make(tmp_path, monkeypatch)
    run = CliRunner()
    early = run.invoke(marks, ["--course", str(course)])
    assert (early.exit_code, early.output.count("\n")) == (2, 1)
    small_course.hand_in(course, "amina", small_course.solved())
    (course / ".workshop").mkdir(exist_ok=True)
    people = [
        {"account": "amina", "name": AMINA, "email": "a@example.org", "language": "ar"},
        {"account": "late", "name": "=Late", "email": "", "language": ""},
    ]
    (course / ".workshop" / "roster.json").write_text(json.dumps(people))
    assert run.invoke(grade, [LAB, "--course", str(course)]).exit_code == 0
    out = tmp_path / "marks.csv"
    ran = run.invoke(marks, [LAB, "--course", str(course), "--out", str(out), "--bom"])
    assert ran.exit_code == 0, ran.output
    assert "1 answers wait" in ran.output
    assert out.read_bytes().startswith(b"\xef\xbb\xbfusername,name,email,")
    _head, amina, late = read(out.read_text("utf-8-sig"))
    assert amina == ["amina", AMINA, "a@example.org", "10", "10", "1"]
    assert late == ["late", "'=Late", "", "", "0", "0"]
    wrong = run.invoke(marks, ["11_capstone", "--course", str(course)])
    assert wrong.exit_code == 2
    assert LAB in wrong.output
