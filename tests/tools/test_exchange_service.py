"""At the window everybody is served, and nobody can be somebody else."""

import getpass
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparrow.errors import LabError, StorageError
from sparrow.lab.window import feedback_at, hand_in_at, lab_at, overview_at
from tests.tools import small_course
from tests.tools.small_course import LAB
from tests.tools.test_exchange_desk import NAME, notebook
from workshop.classroom.settings import from_tables
from workshop.exchange import service
from workshop.exchange.desk import Desk
from workshop.exchange.service import Window
from workshop.exchange.shelf import Shelf
from workshop.grading.course import Course


@pytest.fixture
def window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    course = small_course.make(tmp_path, monkeypatch)
    told = Course(course), from_tables({}, tmp_path)
    with Window(tmp_path / "window", Desk(*told), Shelf(*told)) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def say(window: Window, text: bytes) -> dict[str, object]:
    """Whatever somebody sends, and then nothing more."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(window.server_address))
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as heard:
            return json.loads(heard.readline())


def test_the_receipt_names_whose_process_it_was_and_what_came(window: Window) -> None:
    path = Path(str(window.server_address))
    begun = datetime.now(UTC)
    files = {**notebook(), "model.safetensors": b"\n{}\n" * 1000}
    receipt = hand_in_at(path, LAB, files)
    assert receipt["learner"] == getpass.getuser()
    assert abs((datetime.fromisoformat(receipt["at"]) - begun).total_seconds()) < 60
    (kept,) = window.desk.receipts()
    assert kept.hash == receipt["hash"]
    window.desk.collect(LAB)
    place = window.desk.course.root / "submitted" / receipt["learner"] / LAB
    assert (place / "model.safetensors").read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"[1]\n",
        b"{\n",
        b'{"lab": 1}\n',
        b'{"lab": "00_preflight", "files": {"a": -1}}\n',
        b'{"lab": "00_preflight", "files": {"a": "x"}}\n',
        b'{"lab": "00_preflight", "files": {"a": 10}}\nshort',
        b'{"lab": "00_preflight", "files": {"a": 1e99}}\n',
        b'{"learner": "eve", "lab": "00_preflight", "files": {}}\n',
        b"x" * 2**17,
        b'{"lab": "../..", "files": {"a": 1}}\n1',
        b'{"lab": "00_preflight", "files": {"a": 1000000000000}}\n',
    ],
)
def test_nonsense_is_refused_and_the_next_one_is_served(
    window: Window, text: bytes
) -> None:
    assert "refused" in say(window, text)
    assert window.desk.receipts() == []
    assert hand_in_at(Path(str(window.server_address)), LAB, notebook())["number"] == 1


def test_who_says_to_be_somebody_else_is_not(window: Window) -> None:
    files = notebook()
    header = {"learner": "eve", "lab": LAB, "files": {NAME: len(files[NAME])}}
    told = say(window, json.dumps(header).encode() + b"\n" + files[NAME])
    assert told["receipt"]["learner"] == getpass.getuser()  # type: ignore[index]


def test_a_refusal_is_the_sentence_that_the_learner_reads(window: Window) -> None:
    path = Path(str(window.server_address))
    with pytest.raises(LabError, match="There is no notebook"):
        hand_in_at(path, LAB, {"other.ipynb": b"{}"})
    with pytest.raises(StorageError, match="wait a minute"):
        hand_in_at(path.with_name("nobody"), LAB, notebook())


def test_who_brings_too_much_reads_why(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes while they still send; it is the one that they read."""
    monkeypatch.setattr(service, "MAX_FOLDER_MIB", 1)
    path = Path(str(window.server_address))
    files = {**notebook(), "model.safetensors": bytes(8 * 2**20)}
    with pytest.raises(LabError, match="more than 1 MiB"):
        hand_in_at(path, LAB, files)


def test_thirty_at_the_same_moment_are_all_taken(window: Window) -> None:
    path = Path(str(window.server_address))
    with ThreadPoolExecutor(30) as class_:
        asked = [
            class_.submit(hand_in_at, path, LAB, notebook(number))
            for number in range(30)
        ]
        numbers = sorted(each.result()["number"] for each in asked)
    assert numbers == list(range(1, 31))
    assert len(window.desk.receipts()) == 30


def write_feedback(window: Window, learner: str, words: str) -> None:
    """What grading leaves."""
    place = window.desk.course.root / "feedback" / learner / LAB
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{LAB}.html").write_text(f"<p>{learner}: {words}</p>", "utf-8")
    (place / f"{LAB}.ipynb").write_text("{}")


def test_feedback_goes_to_its_learner_alone_once_it_is_released(window: Window) -> None:
    path, me = Path(str(window.server_address)), getpass.getuser()
    with pytest.raises(LabError, match="no feedback"):
        feedback_at(path, LAB)
    for learner in (me, "somebody"):
        write_feedback(window, learner, "\u0645")
    with pytest.raises(LabError, match="no feedback"):
        feedback_at(path, LAB)
    assert window.shelf.give(LAB, "somebody") == ["somebody"]
    with pytest.raises(LabError, match="no feedback"):
        feedback_at(path, LAB)
    assert window.shelf.give(LAB) == sorted([me, "somebody"])
    assert feedback_at(path, LAB) == {f"{LAB}.html": f"<p>{me}: \u0645</p>".encode()}
    write_feedback(window, me, "second thoughts")  # graded again, not yet released
    assert b"second" not in feedback_at(path, LAB)[f"{LAB}.html"]
    window.shelf.give(LAB, me)
    assert b"second" in feedback_at(path, LAB)[f"{LAB}.html"]


def test_who_asks_hears_of_labs_and_of_their_own_submissions(window: Window) -> None:
    path, me = Path(str(window.server_address)), getpass.getuser()
    (window.desk.course.root / "labs" / LAB).mkdir(parents=True)
    (window.desk.course.root / "labs" / LAB / NAME).write_bytes(notebook()[NAME])
    hand_in_at(path, LAB, notebook())
    window.desk.take("somebody", LAB, notebook(), datetime.now(UTC))
    told = overview_at(path)
    assert (told["course"], told["labs"]) == ("sparrow", [LAB])
    assert [each["learner"] for each in told["receipts"]] == [me]
    assert told["feedback"] == {}
    assert lab_at(path, LAB) == notebook()
    with pytest.raises(LabError, match="no lab 'other' to fetch"):
        lab_at(path, "other")


@pytest.mark.parametrize("lab", ["../somebody/00_preflight", "", "nothing"])
def test_feedback_of_no_lab_is_refused(window: Window, lab: str) -> None:
    with pytest.raises(LabError):
        feedback_at(Path(str(window.server_address)), lab)


def test_another_question_is_refused(window: Window) -> None:
    assert "refused" in say(window, b'{"ask": "marks", "lab": "00_preflight"}\n')
