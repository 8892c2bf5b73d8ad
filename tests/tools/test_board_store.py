"""What the board keeps, and what it makes of it."""

import sqlite3
import stat

import pytest

from sparrow import language
from sparrow.lab.board import key_of
from tests.tools import simulated_class
from tests.tools.simulated_class import LAB, PEOPLE
from workshop.board.events import Agreement, Event, Known, NotTakenError, read
from workshop.board.store import MOST_CAUSES, PAUSE_S, Store
from workshop.board.view import SESSION_S, look, newest_lab
from workshop.classroom.roster import Person

KNOWN = Known()
HALVES = key_of("These are halves, Llama's layout: DeepSeek pairs neighbours, (0, 1).")
AMINA, OMAR = PEOPLE[0], PEOPLE[1]
NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "board.sqlite")


def wrong(exercise: str = "2.4", cause: str = HALVES) -> Event:
    return Event(LAB, exercise, False, cause)


def right(exercise: str = "2.4") -> Event:
    return Event(LAB, exercise, True)


def seen(store: Store, now: float = NOW, people=PEOPLE):
    return look(LAB, people, store.people(), store.work(), store.causes(), KNOWN, now)


def states(view, person: Person) -> list[str]:
    (row,) = [each for each in view.rows if each.person == person]
    return [each.state for each in row.cells]


# --- what may be said


def test_every_exercise_with_a_check_is_known_and_no_other():
    from sparrow.checks import registry

    for lab, exercises in KNOWN.minutes.items():
        for exercise, minutes in exercises.items():
            assert registry.find(exercise)
            assert minutes > 0
            assert int(lab[:2]) == int(exercise.split(".")[0])
        assert exercises.keys() == set(
            registry.importlib.import_module(f"sparrow.checks.lab{lab[:2]}").CHECKS
        )


def test_a_line_says_how_a_check_went_or_an_agreement():
    line = b'{"lab": "%b", "exercise": "2.4", "passed": false, "cause": "%b"}'
    assert read(line % (LAB.encode(), HALVES.encode()), KNOWN) == wrong()
    assert read(b'{"share": true}\n', KNOWN) == Agreement(True)


def test_a_cause_that_no_check_says_and_one_of_what_passed_are_left_out():
    line = b'{"lab": "%b", "exercise": "2.4", "passed": %b, "cause": "%b"}'
    for passed, cause in ((b"false", b"my own words"), (b"true", HALVES.encode())):
        assert read(line % (LAB.encode(), passed, cause), KNOWN).cause == ""


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 400,
        b"1e999",
        b'{"share": 1}',
        b'{"share": true, "account": "eve"}',
        b'{"lab": "02_latent_attention", "exercise": "2.4", "passed": true}',
        b'{"lab": "02_latent_attention", "exercise": "2.4", "passed": 1, "cause": ""}',
        b'{"lab": "02_latent_attention", "exercise": "2.8", "passed": true,'
        b' "cause": ""}',
        b'{"lab": "02_latent_attention", "exercise": "3.3", "passed": true,'
        b' "cause": ""}',
        b'{"lab": "../etc", "exercise": "2.4", "passed": true, "cause": ""}',
        b'{"lab": "02_latent_attention", "exercise": "2.4", "passed": true,'
        b' "cause": "", "code": "x"}',
        b'{"lab": "02_latent_attention", "exercise": ["2.4"], "passed": true,'
        b' "cause": ""}',
    ],
)
def test_anything_else_is_not_taken(line):
    with pytest.raises(NotTakenError):
        read(line, KNOWN)


def test_a_sentence_is_shown_without_its_values_in_the_language_of_the_page():
    key = key_of("Your code stopped in line {line}, `{source}`: {error}.")
    assert KNOWN.sentence(key) == "Your code stopped in line …, `…`: …"
    assert KNOWN.sentence(HALVES).startswith("These are halves")
    assert KNOWN.sentence("nothing") == "Another cause."
    language.use(language.PSEUDO)
    assert KNOWN.sentence(HALVES).startswith("⟦These are halves")


def test_every_sentence_that_a_check_may_say_can_be_shown():
    for key in KNOWN.templates:
        assert KNOWN.sentence(key)
    assert len(KNOWN.templates) > 500


# --- what is kept


def test_the_file_is_its_owners_alone_where_the_service_says_so(tmp_path, store):
    import os

    before = os.umask(0o077)
    try:
        Store(tmp_path / "own.sqlite")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "own.sqlite").stat().st_mode) == 0o600


def test_tries_count_until_it_passes_and_what_passed_stays_passed(store):
    for at, event in enumerate((wrong(), wrong(), right(), wrong(), right())):
        store.note("amina", event, NOW + at)
    (work,) = store.work()
    assert (work.tries, work.passed_at, work.since) == (3, NOW + 2, NOW)
    assert work.last == NOW + 4
    (cause,) = store.causes()
    assert (cause.people, cause.times) == (1, 2)


def test_after_a_pause_the_clock_starts_anew(store):
    store.note("amina", wrong(), NOW)
    store.note("amina", wrong("2.5"), NOW + PAUSE_S - 1)
    store.note("amina", wrong(), NOW + 2 * PAUSE_S - 2)
    assert {each.exercise: each.since for each in store.work()}["2.4"] == NOW
    store.note("amina", wrong(), NOW + 4 * PAUSE_S)
    assert {each.exercise: each.since for each in store.work()}["2.4"] > NOW


def test_who_takes_the_agreement_back_leaves_no_trace_in_the_file(store):
    store.join("omar", NOW)
    store.note("amina-who-leaves", wrong(), NOW)
    assert b"amina-who-leaves" in store.path.read_bytes()
    store.forget("amina-who-leaves")
    assert store.people() == {"omar"}
    assert store.work() == []
    assert store.causes() == []
    assert b"amina-who-leaves" not in store.path.read_bytes()


def test_nobody_makes_it_grow_without_end(store):
    for key in list(KNOWN.templates)[:60]:
        store.note("eve", wrong(cause=key), NOW)
    assert len(store.causes()) == MOST_CAUSES
    size = store.path.stat().st_size
    for _time in range(100):
        store.note("eve", wrong(), NOW)
    assert store.path.stat().st_size == size


def test_a_damaged_file_is_set_aside(tmp_path, capsys):
    path = tmp_path / "board.sqlite"
    path.write_bytes(b"no database at all" * 100)
    store = Store(path)
    store.join("amina", NOW)
    assert store.people() == {"amina"}
    assert path.with_suffix(".damaged").read_bytes().startswith(b"no database")
    assert "board.damaged" in capsys.readouterr().err


def test_half_an_event_is_none(store, monkeypatch):
    def breaks(_self, base, _who, _key):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "_count", breaks)
    with pytest.raises(sqlite3.OperationalError):
        store.note("amina", wrong(), NOW)
    assert store.work() == []
    assert store.people() == set()


# --- what is shown


def test_who_did_not_agree_or_has_left_the_course_is_not_shown(store):
    store.note(AMINA.account, right("2.1"), NOW)
    store.note("left-the-course", wrong(), NOW)
    view = seen(store)
    assert [row.person for row in view.rows] == [AMINA]
    assert view.enrolled == len(PEOPLE)
    assert view.stuck == []


def test_who_agreed_and_has_not_begun_is_shown_so(store):
    store.join(OMAR.account, NOW)
    assert states(seen(store), OMAR) == ["none"] * 7


def test_a_cell_says_passed_trying_or_begun(store):
    store.note(AMINA.account, right("2.1"), NOW - 7200)
    store.note(AMINA.account, wrong("2.2"), NOW - 7000)
    store.note(AMINA.account, wrong("2.4"), NOW - 11 * 60)
    store.note(AMINA.account, wrong("2.4"), NOW - 60)
    view = seen(store)
    assert states(view, AMINA)[:4] == ["passed", "paused", "none", "trying"]
    cell = view.rows[0].cells[3]
    assert (cell.minutes, cell.is_long) == (11, True)
    assert view.count(0, "passed") == 1


def test_who_is_longest_at_an_exercise_comes_first_with_what_the_check_said(store):
    store.note(AMINA.account, wrong("2.2", ""), NOW - 300)
    store.note(OMAR.account, wrong(), NOW - 900)
    first, second = seen(store).stuck
    assert (first.person, first.exercise, first.minutes) == (OMAR, "2.4", 15)
    assert (first.planned, first.tries, first.is_long) == (10, 1, True)
    assert first.cause.startswith("These are halves")
    assert (second.person, second.cause, second.is_long) == (AMINA, "", False)


def test_who_has_gone_on_or_gone_away_is_not_stuck(store):
    store.note(AMINA.account, wrong("2.2"), NOW - 900)
    store.note(AMINA.account, right("2.3"), NOW - 60)
    store.note(OMAR.account, wrong(), NOW - PAUSE_S - 60)
    store.note(PEOPLE[2].account, wrong("2.2"), NOW - 60)
    store.note(PEOPLE[2].account, Event("03_experts", "3.1", False), NOW)
    assert seen(store).stuck == []


def test_a_clock_that_jumps_back_gives_no_negative_time(store):
    store.note(AMINA.account, wrong(), NOW + 3600)
    view = seen(store)
    assert view.stuck[0].minutes == 0


def test_causes_are_counted_by_people_the_commonest_first(store):
    other = key_of("Nothing was turned.")
    store.note(AMINA.account, wrong(cause=other), NOW)
    for _time in range(9):
        store.note(AMINA.account, wrong(cause=other), NOW)
    store.note(AMINA.account, wrong(), NOW)
    store.note(OMAR.account, wrong(), NOW)
    first, second = seen(store).causes
    assert (first.people, first.times) == (2, 2)
    assert (second.sentence, second.people) == ("Nothing was turned.", 1)
    assert second.times == 10


def test_a_session_begins_after_a_long_silence(store):
    store.note(AMINA.account, right("2.1"), NOW - 24 * 3600)
    store.note(OMAR.account, right("2.1"), NOW - SESSION_S)
    store.note(OMAR.account, right("2.2"), NOW - 600)
    view = seen(store)
    assert view.begun == NOW - SESSION_S
    assert view.passes["2.1"] == [NOW - 24 * 3600, NOW - SESSION_S]


def test_the_newest_lab_is_where_the_latest_check_was(store):
    assert newest_lab(store.work(), KNOWN) == "00_preflight"
    store.note(AMINA.account, right(), NOW)
    store.note(OMAR.account, Event("05_honest_evaluation", "5.1", True), NOW - 1)
    assert newest_lab(store.work(), KNOWN) == LAB


def test_a_class_of_thirty_adds_up(tmp_path):
    store = simulated_class.fill(tmp_path / "class.sqlite", NOW)
    view = seen(store)
    assert len(view.rows) == 30 - len(simulated_class.SHY)
    for place, (exercise, moments) in enumerate(view.passes.items()):
        assert view.count(place, "passed") == len(moments), exercise
    assert view.stuck == sorted(view.stuck, key=lambda each: -each.minutes)
    assert any(each.is_long for each in view.stuck)
