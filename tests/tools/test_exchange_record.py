"""The record of submissions only grows, and shows what was done to it."""

import itertools
import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sparrow.errors import StorageError
from workshop.exchange.record import FIRST, Record, RecordError

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    made = Record(tmp_path / "private" / "record.jsonl")
    for number in range(4):
        made.append({"learner": f"أ{number}"}, NOON + timedelta(minutes=number))
    return made


def rewrite(record: Record, change: dict[int, bytes | None]) -> None:
    """Change lines, or leave them out."""
    lines = record.path.read_bytes().splitlines(keepends=True)
    told = [change.get(place, line) for place, line in enumerate(lines, start=1)]
    record.path.write_bytes(b"".join(each for each in told if each is not None))


def test_each_line_carries_the_hash_of_the_line_before(record: Record) -> None:
    lines = record.lines()
    assert [each.number for each in lines] == [1, 2, 3, 4]
    assert lines[0].before == FIRST
    assert all(b.before == a.hash for a, b in itertools.pairwise(lines))
    assert [each.told["learner"] for each in lines] == ["أ0", "أ1", "أ2", "أ3"]
    assert record.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_is_changed_removed_or_moved_is_named(
    record: Record, number: int
) -> None:
    lines = record.path.read_bytes().splitlines(keepends=True)
    told = json.loads(lines[number - 1])
    told["told"]["learner"] = "eve"
    forged = json.dumps(told).encode() + b"\n"
    for change in ({number: forged}, {number: None}, {number: lines[number]}):
        record.path.write_bytes(b"".join(lines))
        rewrite(record, change)
        with pytest.raises(RecordError, match=f"Line {number} "):
            record.lines()
        with pytest.raises(RecordError):
            record.append({}, NOON)


def test_a_forged_hash_breaks_the_line_after_it(record: Record) -> None:
    line = record.lines()[1]
    forged = type(line)(line.number, line.at, line.before, {"learner": "eve"})
    rewrite(record, {2: forged.encode()})
    with pytest.raises(RecordError, match="Line 3 "):
        record.lines()


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_half_a_last_line_is_set_aside_and_the_record_goes_on(
    record: Record, cut: int
) -> None:
    whole = record.path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    record.path.write_bytes(whole[:-cut])
    assert len(record.lines()) == 3
    line = record.append({"learner": "new"}, NOON)
    assert line.number == 4
    assert [each.told["learner"] for each in record.lines()][-1] == "new"
    aside = record.path.with_name("record.jsonl.torn").read_bytes()
    assert last.startswith(aside.rstrip(b"\n")[: len(last) - cut])


def test_a_clock_that_jumps_back_is_noted_and_order_stays(record: Record) -> None:
    line = record.append({}, NOON - timedelta(hours=2))
    assert line.number == 5
    assert line.clock_went_back_s == 7380
    assert record.append({}, NOON + timedelta(hours=1)).clock_went_back_s == 0
    assert len(record.lines()) == 6


def test_a_full_disk_leaves_the_record_as_it_was(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    before, write = record.path.read_bytes(), os.write

    def half(descriptor: int, text: bytes) -> int:
        if len(text) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, text[:30])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageError, match="No space left"):
        record.append({"learner": "x"}, NOON)
    assert record.path.read_bytes() == before


def append_many(path: Path, name: str) -> None:
    for number in range(10):
        Record(path).append({"who": f"{name}{number}"}, NOON)


def test_many_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(path, x)) for x in "ab"]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    lines = Record(path).lines()
    assert sorted(each.told["who"] for each in lines) == sorted(
        f"{name}{number}" for name in "ab" for number in range(10)
    )
