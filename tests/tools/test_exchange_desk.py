"""What is handed in is kept whole, and nothing that was acknowledged is lost."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from nbgrader.utils import parse_utc

from sparrow import runtime
from sparrow.errors import StorageError
from tests.tools import small_course
from tests.tools.small_course import LAB
from workshop.classroom.settings import from_tables
from workshop.exchange.desk import Desk
from workshop.grading.course import Course, CourseError
from workshop.grading.submission import RefusedError

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NAME = f"{LAB}.ipynb"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    course = small_course.make(tmp_path, monkeypatch)
    told = {
        "deadlines": {LAB: NOON},
        "late": {"grace_minutes": 10, "refused_after_days": 2},
    }
    return Desk(Course(course), from_tables(told, tmp_path))


def notebook(guess: int = 1000) -> dict[str, bytes]:
    made = small_course.answered(answer_0_1=f"guess_years = {guess}")
    return {NAME: nbformat.writes(made).encode()}


@pytest.fixture
def nairobi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine three hours ahead, in a zone whose name nbgrader cannot read."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Africa/Nairobi")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("nairobi")
def test_the_time_is_written_so_that_nbgrader_reads_the_same_moment(desk: Desk) -> None:
    desk.take("amina", LAB, notebook(), NOON)
    desk.collect(LAB)
    path = desk.course.root / "submitted" / "amina" / LAB / "timestamp.txt"
    assert parse_utc(path.read_text()) == NOON.replace(tzinfo=None)


def test_the_latest_of_each_learner_is_collected(desk: Desk) -> None:
    desk.take("amina", LAB, notebook(1), NOON)
    desk.take("o.brien", LAB, notebook(2), NOON)
    last = desk.take("amina", LAB, {**notebook(3), "model.safetensors": b"12"}, NOON)
    assert [each.number for each in desk.receipts("amina")] == [1, 3]
    assert {each.number for each in desk.collect(LAB)} == {2, 3}
    place = desk.course.root / "submitted" / "amina" / LAB
    assert "guess_years = 3" in (place / NAME).read_text()
    assert (place / "model.safetensors").read_bytes() == b"12"
    assert (place / "timestamp.txt").read_text().startswith("2026-12-01 ")
    assert last.files["model.safetensors"].startswith("6b51d431")
    assert last.hash == desk.record.lines()[-1].hash
    desk.collect(LAB)  # a second time is the same
    assert len(list(place.iterdir())) == 3


@pytest.mark.parametrize(
    ("learner", "files", "words"),
    [
        ("../eve", notebook(), "no plain name"),
        (".eve", notebook(), "no plain name"),
        ("eve", {**notebook(), "../x": b""}, "no plain name"),
        ("eve", {**notebook(), "a/b": b""}, "no plain name"),
        ("eve", {}, "0 files came"),
        ("eve", {**notebook(), **{f"f{n}": b"" for n in range(20)}}, "21 files"),
        ("eve", {"other.ipynb": b"{}"}, "no notebook"),
        ("eve", {NAME: b"{"}, "no JSON"),
        ("eve", {NAME: b"[" * 100_000}, "no JSON"),
        ("eve", {NAME: b" " * 21 * 2**20}, "21 MiB"),
    ],
)
def test_what_is_refused_leaves_nothing(
    desk: Desk, learner: str, files: dict[str, bytes], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        desk.take(learner, LAB, files, NOON)
    assert desk.receipts() == []
    assert not [each for each in desk.kept.rglob("*") if each.is_file()]


def test_another_lab_is_refused(desk: Desk) -> None:
    made = small_course.solved()
    made.metadata["sparrow"] = {"lab": "02_latent_attention"}
    with pytest.raises(RefusedError, match="02_latent_attention"):
        desk.take("amina", LAB, {NAME: nbformat.writes(made).encode()}, NOON)
    with pytest.raises(CourseError, match="99_nothing"):
        desk.take("amina", "99_nothing", notebook(), NOON)


@pytest.mark.parametrize(
    ("minutes", "late_s"), [(-60, 0), (0, 0), (10, 0), (11, 60), (2 * 1440, 172_200)]
)
def test_late_begins_after_the_grace(desk: Desk, minutes: int, late_s: int) -> None:
    at = NOON + timedelta(minutes=minutes)
    assert desk.take("amina", LAB, notebook(), at).late_s == late_s


def test_too_late_is_refused_with_the_deadline(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="2026-12-01 12:00"):
        desk.take("amina", LAB, notebook(), NOON + timedelta(days=3))


def test_a_full_disk_takes_nothing_and_thanks_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take("amina", LAB, notebook(1), NOON)

    def full(path: Path) -> None:
        raise runtime.not_written(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(runtime, "atomic_write", full)
    with pytest.raises(StorageError, match="No space left"):
        desk.take("amina", LAB, notebook(2), NOON)
    monkeypatch.undo()
    assert [each.number for each in desk.receipts()] == [1]


def test_killed_before_the_line_is_written_it_was_never_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(desk.record, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.take("amina", LAB, notebook(), NOON)
    assert desk.receipts() == []
    assert desk.take("amina", LAB, notebook(), NOON).number == 1
    assert len(desk.collect(LAB)) == 1


def test_what_was_changed_behind_our_back_is_not_graded(desk: Desk) -> None:
    desk.take("amina", LAB, notebook(), NOON)
    (kept,) = desk.kept.rglob(NAME)
    kept.write_bytes(kept.read_bytes().replace(b"1000", b"2000"))
    with pytest.raises(StorageError, match="was changed"):
        desk.collect(LAB)
