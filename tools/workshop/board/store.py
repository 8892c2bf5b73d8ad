"""Keep how far each learner is: a line an exercise, no history, none of their work.

It cannot grow beyond learners x exercises x a few causes, and SQLite brings it through
a power cut whole.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from workshop.board.events import Event

__all__ = ["PAUSE_S", "Cause", "Store", "Work"]

PAUSE_S = 30 * 60.0  # who says nothing for so long has left: the clock starts anew
MOST_CAUSES = 12  # of one learner in one exercise
TABLES = """
PRAGMA secure_delete = on;
CREATE TABLE IF NOT EXISTS people (account TEXT PRIMARY KEY, joined REAL NOT NULL);
CREATE TABLE IF NOT EXISTS work (
    account TEXT NOT NULL, lab TEXT NOT NULL, exercise TEXT NOT NULL,
    since REAL NOT NULL, last REAL NOT NULL, tries INTEGER NOT NULL,
    passed_at REAL, cause TEXT NOT NULL,
    PRIMARY KEY (account, exercise)
);
CREATE TABLE IF NOT EXISTS causes (
    account TEXT NOT NULL, exercise TEXT NOT NULL, cause TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (account, exercise, cause)
);
"""


@dataclass(frozen=True)
class Work:
    """One learner at one exercise; times are in seconds since 1970.

    Args:
        since: when it was begun, or taken up again after a pause.
        last: the latest check.
        tries: checks until it passed.
        passed_at: when it passed; None if it has not yet.
        cause: the key of what the latest check named; empty if it named none.
    """

    account: str
    lab: str
    exercise: str
    since: float
    last: float
    tries: int
    passed_at: float | None
    cause: str


@dataclass(frozen=True)
class Cause:
    """How many learners a check told this, and how often in all."""

    exercise: str
    cause: str
    people: int
    times: int


class Store:
    """The file of the board.

    Args:
        path: made if it is not there; one that is damaged is set aside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._make()
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(".damaged")
            print(f"{path}: {error} -> {aside}", file=sys.stderr)
            os.replace(path, aside)
            self._make()

    def join(self, account: str, now: float) -> None:
        """Somebody agrees to be shown."""
        with self._open() as base:
            base.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (account, now))

    def forget(self, account: str) -> None:
        """Delete all that is known of somebody."""
        with self._open() as base:
            for table in ("people", "work", "causes"):
                base.execute(f"DELETE FROM {table} WHERE account = ?", (account,))

    def note(self, account: str, event: Event, now: float) -> None:
        """A check was run. What has passed once stays passed."""
        who = (account, event.exercise)
        with self._open() as base:
            base.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (account, now))
            (latest,) = base.execute(
                "SELECT max(last) FROM work WHERE account = ?", (account,)
            ).fetchone()
            was_away = latest is not None and now - latest > PAUSE_S
            base.execute(
                "INSERT INTO work VALUES (?, ?, ?, ?, ?, 0, NULL, '') "
                "ON CONFLICT DO UPDATE SET last = excluded.last, "
                "since = iif(passed_at IS NULL AND ?, excluded.since, since)",
                (account, event.lab, event.exercise, now, now, was_away),
            )
            counted = base.execute(
                "UPDATE work SET tries = tries + 1, cause = ?, passed_at = ? "
                "WHERE account = ? AND exercise = ? AND passed_at IS NULL",
                (event.cause, now if event.passed else None, *who),
            )
            if event.cause and counted.rowcount:
                self._count(base, who, event.cause)

    def people(self) -> set[str]:
        """The accounts that agreed."""
        with self._open() as base:
            return {each for (each,) in base.execute("SELECT account FROM people")}

    def work(self) -> list[Work]:
        """Everybody at every exercise that they have tried."""
        with self._open() as base:
            return [Work(*each) for each in base.execute("SELECT * FROM work")]

    def causes(self) -> list[Cause]:
        """What checks named, the most frequent first."""
        with self._open() as base:
            found = base.execute(
                "SELECT exercise, cause, count(*), sum(times) FROM causes "
                "GROUP BY exercise, cause ORDER BY 3 DESC, 4 DESC, cause"
            )
            return [Cause(*each) for each in found]

    def _count(self, base: sqlite3.Connection, who: tuple[str, str], key: str) -> None:
        """One more of this cause; new ones only until there are many."""
        (there,) = base.execute(
            "SELECT count(*) FROM causes WHERE account = ? AND exercise = ?", who
        ).fetchone()
        added = base.execute(
            "UPDATE causes SET times = times + 1 "
            "WHERE account = ? AND exercise = ? AND cause = ?",
            (*who, key),
        )
        if not added.rowcount and there < MOST_CAUSES:
            base.execute("INSERT INTO causes VALUES (?, ?, ?, 1)", (*who, key))

    def _make(self) -> None:
        with self._open() as base:
            base.executescript(TABLES)
        if os.geteuid() == 0:  # a command of root's must not lock the service out
            owner = self.path.parent.stat()
            os.chown(self.path, owner.st_uid, owner.st_gid)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The whole block is written, or nothing of it."""
        with closing(sqlite3.connect(self.path, timeout=5)) as base, base:
            base.execute("PRAGMA secure_delete = on")  # forgotten is gone
            yield base
