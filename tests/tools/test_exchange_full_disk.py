"""A disk that is full for real: one sentence, nothing lost, and on it goes."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparrow.errors import SparrowError, StorageError
from sparrow.lab.catalogue import about
from sparrow.lab.hand_in import hand_in
from tests.small_disk import fill, small_disk
from tests.tools import small_course
from tests.tools.small_course import LAB
from tests.tools.test_exchange_desk import NAME, notebook
from workshop.classroom.settings import from_tables
from workshop.exchange.desk import Desk
from workshop.exchange.record import Record
from workshop.exchange.service import Window
from workshop.exchange.shelf import Shelf
from workshop.grading.course import Course

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.needs_mount


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 512) as place:
        yield place


@pytest.fixture
def desk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    course = small_course.make(disk, monkeypatch)
    return Desk(Course(course), from_tables({}, disk))


@pytest.mark.parametrize("leave_kib", [0, 4, 8, 16, 32])
def test_no_room_at_any_moment_takes_nothing_and_loses_nothing(
    desk: Desk, disk: Path, leave_kib: int
) -> None:
    first = desk.take("amina", LAB, notebook(1), NOON)
    filler = fill(disk, but_kib=leave_kib)
    thanked = [first]

    def go_on() -> None:
        for number in range(2, 40):
            thanked.append(desk.take("amina", LAB, notebook(number), NOON))

    with pytest.raises(StorageError, match="No space left on device") as refused:
        go_on()
    assert "\n" not in str(refused.value)
    assert desk.receipts() == thanked  # all that was thanked for, and no more
    filler.unlink()
    last = desk.take("amina", LAB, notebook(99), NOON)
    assert last.number == len(thanked) + 1
    assert Record(desk.record.path).lines()[-1].hash == last.hash
    desk.collect(LAB)
    kept = desk.course.root / "submitted" / "amina" / LAB / NAME
    assert kept.read_bytes() == notebook(99)[NAME]
    assert not list(desk.kept.rglob(".coming*"))


def test_no_room_for_another_file_is_said_too(desk: Desk, disk: Path) -> None:
    desk.take("amina", LAB, notebook(1), NOON)
    (disk / "many").mkdir()
    for number in range(os.statvfs(disk).f_ffree):
        (disk / "many" / str(number)).touch()
    with pytest.raises(StorageError, match="No space left on device"):
        desk.take("amina", LAB, notebook(2), NOON)
    assert [each.number for each in desk.receipts()] == [1]


def test_collecting_without_room_leaves_what_was_collected(
    desk: Desk, disk: Path
) -> None:
    desk.take("amina", LAB, notebook(1), NOON)
    desk.collect(LAB)
    desk.take("amina", LAB, notebook(2), NOON)
    filler = fill(disk, but_kib=4)
    with pytest.raises(StorageError, match="No space left on device"):
        desk.collect(LAB)
    collected = desk.course.root / "submitted" / "amina" / LAB / NAME
    assert collected.read_bytes() == notebook(1)[NAME]
    filler.unlink()
    desk.collect(LAB)
    assert collected.read_bytes() == notebook(2)[NAME]


def test_feedback_that_finds_no_room_leaves_the_earlier_pages(
    desk: Desk, disk: Path
) -> None:
    page = disk / "feedback" / "amina" / LAB / f"{LAB}.html"
    page.parent.mkdir(parents=True)
    page.write_text("first")
    shelf = Shelf(desk.course, desk.classroom)
    shelf.give(LAB)
    page.write_text("second " * 3000)
    filler = fill(disk, but_kib=8)
    with pytest.raises(StorageError, match="No space left"):
        shelf.give(LAB)
    assert shelf.feedback("amina", LAB) == {page.name: b"first"}
    filler.unlink()
    shelf.give(LAB)
    assert shelf.feedback("amina", LAB)[page.name].startswith(b"second")
    with pytest.raises(SparrowError, match="no pages"):
        shelf.give(LAB, "nobody")


def test_a_receipt_that_finds_no_room_at_home_is_told_with_its_number(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "course"
    folder.mkdir()
    told = Course(small_course.make(folder, monkeypatch)), from_tables({}, folder)
    (tmp_path / NAME).write_bytes(notebook()[NAME])
    fill(disk)
    monkeypatch.setenv("SPARROW_HOME", str(disk))
    monkeypatch.setenv("SPARROW_EXCHANGE", str(tmp_path / "window"))
    with Window(tmp_path / "window", Desk(*told), Shelf(*told)) as window:
        thread = threading.Thread(target=window.serve_forever, daemon=True)
        thread.start()
        with pytest.raises(StorageError, match="is handed in, as number 1; only the"):
            hand_in(about(LAB), tmp_path / NAME)
        window.shutdown()
        thread.join()
        assert len(window.desk.receipts()) == 1
