"""The page and the command show the same, to one person, and run nobody's text."""

import html
import json
import re
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from sparrow import language
from tests.tools import simulated_class
from tests.tools.simulated_class import LAB, PEOPLE
from workshop.board import machine, plots
from workshop.board.machine import Card, Load, Machine
from workshop.board.page import Board
from workshop.board.view import View
from workshop.classroom import cards
from workshop.classroom.settings import from_tables
from workshop.cli import main

UTC = ZoneInfo("UTC")


@pytest.fixture
def course(tmp_path) -> Path:
    """A course with its thirty people, an hour into lab 02."""
    import time

    private = tmp_path / "course/.workshop"
    private.mkdir(parents=True)
    told = json.dumps([asdict(each) for each in PEOPLE])
    (private / "roster.json").write_text(told, "utf-8")
    simulated_class.fill(private / "board.sqlite", time.time())
    return private.parent


def page(course: Path, speech: str = "en", lab: str = "", named: bool = True) -> str:
    return Board(course, "A & B", "Africa/Nairobi", speech).html(lab, named, "/static")


def test_names_in_any_script_are_there_and_run_nothing(course):
    shown = page(course)
    assert "عمر بن علي" in shown
    assert "<b>Bobby" not in shown
    assert html.escape("<b>Bobby</b> Tables") in shown
    assert "A &amp; B" in shown


def test_who_did_not_agree_is_nowhere(course):
    for shown in (page(course), page(course, named=False)):
        for number in simulated_class.SHY:
            assert html.escape(PEOPLE[number].name) not in shown
            assert PEOPLE[number].account not in shown


def test_the_page_for_the_wall_has_no_names(course):
    shown = page(course, named=False)
    for person in PEOPLE:
        assert html.escape(person.name) not in shown
        assert person.account not in shown
    assert "What checks said most" in shown


def test_it_loads_nothing_from_elsewhere_and_has_no_script_of_its_own(course):
    shown = page(course)
    assert "://" not in shown
    assert re.findall(r"<script[^>]*>", shown) == [
        '<script src="/static/board.js" defer>'
    ]
    assert " style=" not in shown
    assert not re.search(r"\son\w+=", shown)


def test_every_cell_says_in_words_what_it_shows_in_colour(course):
    shown = page(course)
    for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL):
        for cell in re.findall(r'<td class="(?:passed|trying|none|paused).*', row):
            assert '<span class="hear">' in cell
    for table in re.findall(r"<table.*?</table>", shown, re.DOTALL):
        assert '<th scope="col">' in table
        assert '<th scope="row"' in table


def test_it_speaks_the_language_of_the_course(course):
    english, other = page(course), page(course, language.PSEUDO)
    for sentence in ("The board", "Who may need help", "Passed", "This machine"):
        assert f">{sentence}<" in english
        assert f">⟦{sentence}⟧<" in other
    assert 'dir="rtl"' in page(course, "ar")


def test_before_anybody_shares_it_says_how_to_begin(tmp_path):
    (tmp_path / ".workshop").mkdir()
    shown = page(tmp_path)
    assert "lab.share()" in shown
    assert "0 of 0 learners" in shown


def test_another_lab_is_chosen_by_its_name_and_an_unknown_one_is_the_newest(course):
    for lab in ("", "no such lab", "<script>"):
        assert f'aria-current="page" title="{LAB}"' in page(course, lab=lab)
    shown = page(course, lab="05_honest_evaluation")
    assert 'aria-current="page" title="05_honest_evaluation"' in shown
    assert '<th scope="col">5.1</th>' in shown


# --- pictures


def a_view(**changed) -> View:
    told = {
        "lab": LAB,
        "at": 10_000.0,
        "exercises": {"2.1": 2, "2.2": 8},
        "rows": [],
        "enrolled": 0,
        "stuck": [],
        "causes": [],
        "passes": {"2.1": [7000.0, 8000.0], "2.2": [9000.0]},
        "begun": 6400.0,
    }
    return View(**{**told, **changed})


def texts(picture: str) -> list[str]:
    tree = ElementTree.fromstring(picture)
    return [each.text or "" for each in tree.iter("text")]


def test_a_line_rises_by_one_for_each_who_passed_and_carries_its_name():
    picture = plots.passes_over_time(a_view(), UTC)
    assert {"2.1: 2", "2.2: 1"} <= set(texts(picture))
    lines = [each.get("points") for each in ElementTree.fromstring(picture).iter()]
    first = next(filter(None, lines)).split()
    heights = [float(each.split(",")[1]) for each in first]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3


def test_what_passed_before_the_session_is_where_its_line_begins():
    early = a_view(passes={"2.1": [100.0, 200.0, 7000.0]}, begun=6400.0)
    assert "2.1: 3" in texts(plots.passes_over_time(early, UTC))


def test_hours_are_told_by_the_courses_clock():
    zone = ZoneInfo("Asia/Kathmandu")  # five hours and three quarters
    said = texts(plots.passes_over_time(a_view(at=13_600.0), zone))
    assert "08:00" in said


def test_names_of_lines_never_cover_each_other():
    passes = {f"2.{number}": [7000.0] for number in range(1, 10)}
    picture = plots.passes_over_time(a_view(passes=passes), UTC)
    tree = ElementTree.fromstring(picture)
    heights = sorted(
        float(each.get("y"))
        for each in tree.iter("text")
        if "name" in (each.get("class") or "")
    )
    gaps = [after - before for before, after in pairwise(heights)]
    assert len(gaps) == 8
    assert min(gaps) >= plots.LEAST_GAP - 0.11  # heights have one decimal


@pytest.mark.parametrize("loads", [1, 2, 360])
def test_the_load_is_drawn_from_the_first_look_on(loads, tmp_path):
    seen = Machine(tmp_path).look()
    told = [Load(**{**vars(seen), "at": 1000.0 + 10 * at}) for at in range(loads)]
    assert {"processors", "memory"} <= set(texts(plots.load_over_time(told, UTC)))


# --- the machine


def test_the_machine_tells_its_load_and_whose_memory_it_is(tmp_path):
    import os

    seen = Machine(tmp_path).look()
    assert 0 <= seen.cpu_frac <= 1
    assert 0 < seen.memory_frac < 1
    assert 0 < seen.disk_free_gib <= seen.disk_total_gib
    assert 0.02 < seen.memory_by_user[os.geteuid()] < 4 * seen.memory_total_gib


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (
            "echo 'NVIDIA A10G, 61, 11514, 23028'",
            [Card("NVIDIA A10G", 0.61, 11.2, 22.5)],
        ),
        ("echo 'Orin, [N/A], [N/A], [N/A]'", []),
        ("echo 'No devices were found'", []),
        ("exit 9", []),
    ],
)
def test_a_card_says_how_busy_it_is(tmp_path, monkeypatch, script, found):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    told = machine.cards()
    assert [each.name for each in told] == [each.name for each in found]
    for got, want in zip(told, found, strict=True):
        assert got.used_frac == want.used_frac
        assert got.memory_gib == pytest.approx(want.memory_gib, abs=0.05)
        assert got.memory_total_gib == pytest.approx(want.memory_total_gib, abs=0.05)


def test_no_card_is_no_card(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.cards() == ()


# --- the command


@pytest.fixture
def settings(course, tmp_path) -> Path:
    path = tmp_path / "workshop.toml"
    path.write_text(f'[board]\non = true\n[places]\ncourse = "{course}"\n', "utf-8")
    return path


def run(*arguments: str):
    return CliRunner().invoke(main, ["board", *arguments])


def test_the_terminal_shows_the_same(settings):
    done = run("--settings", str(settings))
    assert done.exit_code == 0
    assert f"{LAB}: 26 of 30 learners show their progress." in done.output
    assert "Amina Ben Salah" in done.output
    assert "May need help" in done.output


def test_other_programs_read_json(settings):
    told = json.loads(run("--settings", str(settings), "--json").output)
    assert told["lab"] == LAB
    assert len(told["learners"]) == 26
    assert told["learners"]["learner-01"]["2.1"] == "passed"
    assert {"account", "exercise", "minutes", "planned_minutes"} <= set(
        told["stuck"][0]
    )


def test_a_board_without_news_and_a_lab_without_a_board_are_one_sentence(
    settings, course
):
    done = run("--settings", str(settings), "12_none")
    assert "has no lab 12_none" in done.output
    (course / ".workshop/board.sqlite").unlink()
    done = run("--settings", str(settings))
    assert "on = true" in done.output
    assert not (course / ".workshop/board.sqlite").exists()


# --- cards, whose template had the same fault as this one's first draft


def test_each_card_speaks_its_own_language(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "available", lambda: ["en", language.PSEUDO])
    people = [
        cards.Person(account="amina", name="Amina", language="en"),
        cards.Person(account="omar", name="Omar", language=language.PSEUDO),
    ]
    passcodes = {"amina": "one", "omar": "two"}
    shown = cards.page(from_tables({}, tmp_path), people, passcodes, "AA:BB")
    assert "<dt>Account</dt>" in shown
    assert "<dt>⟦Account⟧</dt>" in shown
