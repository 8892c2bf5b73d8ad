"""Passcodes are kept as hashes, change at once, and lock after wrong tries."""

import json
import re
import stat

import pytest

from sparrow.errors import StorageError
from workshop.classroom import passcodes
from workshop.classroom.passcodes import Passcodes, Verdict
from workshop.classroom.tables import LoginTable

WRONG = "aaaa-aaaa-aaaa"


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(passcodes, "SCRYPT", {"n": 2, "r": 8, "p": 1})  # quick
    login = LoginTable(tries=3, lock_minutes=5)
    return Passcodes(tmp_path / "passcodes.json", login, clock)


def test_a_passcode_has_three_groups_that_nobody_misreads():
    made = {passcodes.make() for _each in range(50)}
    assert len(made) == 50
    for each in made:
        assert re.fullmatch("([a-hjkmnp-z2-9]{4}-){2}[a-hjkmnp-z2-9]{4}", each)


def test_the_file_holds_no_passcode_and_is_its_owners(kept):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    text = kept.path.read_text("utf-8")
    assert "k7mq" not in text
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    salts = [each["salt"] for each in json.loads(text).values()]
    kept.give({"amina": "k7mq-2xvd-9htp"})
    assert salts != [e["salt"] for e in json.loads(kept.path.read_text()).values()]


def test_the_real_hash_costs_a_guesser_16_mib():
    assert passcodes.SCRYPT["n"] * passcodes.SCRYPT["r"] * 128 == 16 * 2**20


def test_dashes_spaces_and_capitals_do_not_count(kept):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    for typed in ("k7mq-2xvd-9htp", "K7MQ2XVD9HTP", " k7mq 2xvd 9htp "):
        assert kept.verify("amina", typed).kind == "accepted"


def test_the_first_log_in_with_a_passcode_is_told_apart(kept):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    assert kept.verify("amina", "k7mq-2xvd-9htp").is_first
    assert not kept.verify("amina", "k7mq-2xvd-9htp").is_first
    kept.give({"amina": "new2-new2-new2"})
    assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "wrong"
    assert kept.verify("amina", "new2-new2-new2").is_first


def test_wrong_tries_lock_and_the_lock_ends(kept, clock):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    assert kept.verify("amina", WRONG) == Verdict(kind="wrong")
    assert kept.verify("amina", WRONG) == Verdict(kind="wrong")
    assert kept.verify("amina", WRONG) == Verdict(kind="locked", wait_s=300)
    clock.now += 60
    assert kept.verify("amina", "k7mq-2xvd-9htp") == Verdict(kind="locked", wait_s=240)
    clock.now += 241
    assert kept.verify("amina", WRONG).kind == "wrong"  # counted anew
    assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "accepted"


def test_a_right_passcode_begins_the_count_anew(kept):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    for _round in range(3):
        assert kept.verify("amina", WRONG).kind == "wrong"
        assert kept.verify("amina", WRONG).kind == "wrong"
        assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "accepted"


def test_a_new_passcode_ends_a_lock(kept):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    for _try in range(3):
        kept.verify("amina", WRONG)
    kept.give({"amina": "new2-new2-new2"})
    assert kept.verify("amina", "new2-new2-new2").kind == "accepted"


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_clock_that_jumps_locks_nobody_for_long(kept, clock, jump_s):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    for _try in range(3):
        kept.verify("amina", WRONG)
    clock.now += jump_s
    assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "accepted"


def test_nobody_without_a_passcode_comes_in(kept):
    assert kept.verify("ghost", "").kind == "wrong"
    kept.give({"amina": "k7mq-2xvd-9htp"})
    kept.take(["amina", "never-there"])
    assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "wrong"


def test_a_damaged_file_is_one_sentence_and_is_left_alone(kept):
    kept.path.write_text("{", "utf-8")
    with pytest.raises(StorageError, match="bring the file back from a copy"):
        kept.verify("amina", WRONG)
    with pytest.raises(StorageError):
        kept.give({"amina": "k7mq-2xvd-9htp"})
    assert kept.path.read_text("utf-8") == "{"


def test_a_full_disk_lets_people_in_and_loses_no_passcode(kept, monkeypatch):
    kept.give({"amina": "k7mq-2xvd-9htp"})
    kept.verify("amina", "k7mq-2xvd-9htp")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "accepted"
        with pytest.raises(StorageError, match="No space left on device"):
            kept.verify("amina", WRONG)
        with pytest.raises(StorageError, match="No space left on device"):
            kept.give({"amina": "new2-new2-new2"})
    assert kept.verify("amina", "k7mq-2xvd-9htp").kind == "accepted"
