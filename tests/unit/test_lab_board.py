"""A learner is on the board if they say so, and of their work nothing is told."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparrow import checks, language, runtime
from sparrow import lab as labs
from sparrow.checks import check, compare
from sparrow.errors import CheckError
from sparrow.lab import board
from sparrow.language import _, template_of

LAB = "00_preflight"
SECRET = "the learner's own words"


class Ear:
    """A socket that hears lines, and answers if it is told to."""

    def __init__(self, path: Path) -> None:
        self.heard: list[dict[str, object]] = []
        self.answers = True
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(8)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            try:
                line, _address = self.socket.accept()
            except OSError:
                return
            with line, line.makefile("rwb") as both:
                self.heard.append(json.loads(both.readline()))
                if self.answers and "share" in self.heard[-1]:
                    both.write(b'{"taken": true}\n')

    def wait_for(self, count: int) -> list[dict[str, object]]:
        until = time.monotonic() + 5
        while len(self.heard) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.heard


@pytest.fixture
def window(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "window"
    monkeypatch.setenv("SPARROW_BOARD", str(path))
    return path


@pytest.fixture
def ear(window) -> Iterator[Ear]:
    ear = Ear(window)
    yield ear
    ear.socket.close()


@pytest.fixture
def begun(capsys) -> Iterator[labs.Lab]:
    yield labs.start(LAB)
    checks.on_pass.clear()
    checks.on_check.clear()


def wrong(active_parameters, tokens, flops_per_s):
    raise ValueError(SECRET)


def test_without_a_board_nobody_hears_of_it(capsys, begun):
    assert "Progress" not in capsys.readouterr().out
    begun.share()
    assert "There is no board here" in capsys.readouterr().out
    assert not board.shares()
    assert not runtime.home_folder().exists()


def test_whoever_did_not_agree_is_told_so_and_sends_nothing(capsys, ear, begun):
    line = next(x for x in capsys.readouterr().out.splitlines() if "Progress" in x)
    assert "nobody sees it" in line
    assert "lab.share()" in line
    check("0.1", 1000)
    time.sleep(0.1)
    assert ear.heard == []


def test_whoever_agreed_tells_that_it_passed_and_no_more(capsys, ear, begun):
    begun.share()
    assert "lab.share(False)" in capsys.readouterr().out
    check("0.1", 1000)
    agreed, told = ear.wait_for(2)
    assert agreed == {"share": True}
    assert told == {"lab": LAB, "exercise": "0.1", "passed": True, "cause": ""}
    labs.start(LAB)
    assert "your instructor sees which checks pass" in capsys.readouterr().out


def test_a_mistake_is_told_by_the_key_of_its_sentence_alone(capsys, ear, begun):
    begun.share()
    check("0.2", wrong)
    assert SECRET in capsys.readouterr().out
    told = ear.wait_for(2)[-1]
    sentence = "Your code stopped in line {line}, `{source}`: {error}."
    assert told["cause"] == board.key_of(sentence)
    assert told["passed"] is False
    assert set(told) == {"lab", "exercise", "passed", "cause"}


def test_the_key_is_the_same_in_every_language(ear, begun):
    begun.share()
    check("0.1", None)
    language.use(language.PSEUDO)
    check("0.1", None)
    first, second = ear.wait_for(3)[1:]
    assert first == second
    assert first["cause"]


def test_who_takes_it_back_is_forgotten_and_sends_no_more(capsys, ear, begun):
    begun.share()
    begun.share(False)
    check("0.1", 1000)
    time.sleep(0.1)
    assert ear.wait_for(2) == [{"share": True}, {"share": False}]
    assert "nobody sees it" in capsys.readouterr().out


def test_a_board_that_does_not_answer_has_not_forgotten(capsys, ear, begun):
    ear.answers = False
    begun.share(False)
    assert "call lab.share(False) again" in capsys.readouterr().out
    assert not board.shares()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"shares": 1}', "\0", "{"])
def test_a_damaged_choice_is_no_agreement(content):
    file = runtime.home_folder() / board.FILE
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert not board.shares()


def test_a_board_that_is_gone_costs_a_check_nothing(capsys, window, begun):
    begun.share()
    started = time.monotonic()
    assert check("0.1", 1000).passed
    assert time.monotonic() - started < 1
    assert "Error" not in capsys.readouterr().out


@pytest.mark.parametrize("in_front", [0, 3])
def test_no_check_waits_for_a_board_that_is_deaf_or_full(window, begun, in_front):
    begun.share()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(window))
        deaf.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _each in range(in_front)]
        for each in waiting:  # nobody accepts them
            each.setblocking(False)
            each.connect_ex(str(window))
        started = time.monotonic()
        assert check("0.1", 1000).passed
        took_s = time.monotonic() - started
        for each in waiting:
            each.close()
    assert took_s < 1


def test_a_path_that_no_socket_has_is_silent(monkeypatch, begun):
    monkeypatch.setenv("SPARROW_BOARD", "x" * 500)
    begun.share()
    assert check("0.1", 1000).passed


def test_use_mine_tells_nothing(ear, begun):
    begun.share()
    with pytest.raises(Exception, match="does not pass"):
        begun.use_mine(training_effort)
    time.sleep(0.1)
    assert len(ear.heard) == 1


def training_effort(**_given):
    return None


# --- sentences remember where they came from


def test_a_sentence_remembers_its_english_without_values():
    said = _("{name} is None: is a return missing?", name=SECRET)
    assert SECRET in said
    assert template_of(said) == "{name} is None: is a return missing?"
    assert template_of("anything else") == ""


def test_a_sentence_about_a_part_is_still_that_sentence():
    verdict = compare.compare_equal([1, 3], [1, 2])
    assert verdict.message == "[1]: It is too large."
    assert template_of(verdict.message) == "It is too large."
    verdict = compare.compare_equal({"a": 1}, {"a": 2})
    assert template_of(verdict.message) == "It is too small."


def test_an_error_of_ours_keeps_its_sentence(ear, begun):
    def refuses(**_given):
        raise CheckError(_("This is no answer of the driver."))

    begun.share()
    check("0.2", refuses)
    key = board.key_of("This is no answer of the driver.")
    assert ear.wait_for(2)[-1]["cause"] == key


class Posing(str):
    """A learner's own words that say to be a sentence of ours."""

    @property
    def template(self) -> list[str]:
        return [SECRET]


@pytest.mark.parametrize("words", [5, None, Posing("x"), SECRET])
def test_words_of_the_learners_have_no_key(ear, begun, words):
    def refuses(**_given):
        raise CheckError(words)

    begun.share()
    assert not check("0.2", refuses).passed
    assert ear.wait_for(2)[-1]["cause"] == ""
