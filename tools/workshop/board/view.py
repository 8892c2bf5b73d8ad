"""What the board shows of one lab: a grid, who may need help, causes, and passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workshop.board.events import Known
from workshop.board.store import PAUSE_S, Cause, Work
from workshop.classroom.roster import Person

__all__ = ["Cell", "CommonCause", "Row", "Stuck", "View", "look", "newest_lab"]

MOST_CAUSES = 3  # of one exercise
SESSION_S = 3 * 3600.0  # nobody passes anything for so long: a new session has begun


@dataclass(frozen=True)
class Cell:
    """One learner at one exercise.

    Args:
        state: `passed`, `trying`, `paused` (begun, and nothing for a while), `none`.
        minutes: at it so far; 0 unless it is `trying`.
        is_long: it takes longer than planned.
    """

    state: str
    minutes: int = 0
    is_long: bool = False


@dataclass(frozen=True)
class Row:
    """One learner in the grid."""

    person: Person
    cells: list[Cell]
    passed: int


@dataclass(frozen=True)
class Stuck:
    """Somebody whose latest check did not pass."""

    person: Person
    exercise: str
    minutes: int
    planned: int
    tries: int
    cause: str
    is_long: bool


@dataclass(frozen=True)
class CommonCause:
    """What a check told several learners."""

    exercise: str
    sentence: str
    people: int
    times: int


@dataclass(frozen=True)
class View:
    """One lab, as it stands.

    Args:
        lab: its name.
        at: the time of looking, in seconds since 1970.
        exercises: exercise -> planned minutes.
        rows: who agreed to be shown, by name.
        enrolled: how many learners the course has.
        stuck: who may need help, the longest first.
        causes: the commonest, exercise by exercise.
        passes: exercise -> when it was passed, each time, oldest first.
        begun: when this session began.
    """

    lab: str
    at: float
    exercises: dict[str, int]
    rows: list[Row]
    enrolled: int
    stuck: list[Stuck]
    causes: list[CommonCause]
    passes: dict[str, list[float]]
    begun: float

    def count(self, place: int, *states: str) -> int:
        """How many learners are in one of these states in a column of the grid."""
        return sum(each.cells[place].state in states for each in self.rows)


def newest_lab(work: Iterable[Work], known: Known) -> str:
    """The lab in which the latest check was run; the first one, if none was."""
    latest = max(work, key=lambda each: each.last, default=None)
    return latest.lab if latest else min(known.minutes)


def look(
    lab: str,
    people: Iterable[Person],
    agreed: set[str],
    work: Iterable[Work],
    causes: Iterable[Cause],
    known: Known,
    now: float,
) -> View:
    """Put together what is shown of a lab.

    Args:
        lab: which one.
        people: the learners of the course.
        agreed: the accounts that may be shown.
        work: what the board knows of everybody, in all labs.
        causes: what checks named.
        known: the exercises and the sentences.
        now: seconds since 1970.
    """
    enrolled = list(people)
    shown = sorted(
        (each for each in enrolled if each.account in agreed),
        key=lambda each: (each.name.casefold(), each.account),
    )
    exercises = known.minutes[lab]
    by_account: dict[str, dict[str, Work]] = {each.account: {} for each in shown}
    for each in work:
        if each.account in by_account:
            by_account[each.account][each.exercise] = each
    rows = [_row(each, exercises, by_account[each.account], now) for each in shown]
    passes = {
        exercise: sorted(
            found[exercise].passed_at or 0.0
            for found in by_account.values()
            if exercise in found and found[exercise].passed_at
        )
        for exercise in exercises
    }
    here = [w for f in by_account.values() for w in f.values() if w.lab == lab]
    return View(
        lab=lab,
        at=now,
        exercises=exercises,
        rows=rows,
        enrolled=len(enrolled),
        stuck=_stuck(shown, exercises, by_account, known, now),
        causes=_commonest(causes, exercises, known),
        passes=passes,
        begun=_begin_of_session(here, now),
    )


def _row(
    person: Person, exercises: Mapping[str, int], found: Mapping[str, Work], now: float
) -> Row:
    cells = [
        _cell(found.get(exercise), planned, now)
        for exercise, planned in exercises.items()
    ]
    return Row(person, cells, sum(each.state == "passed" for each in cells))


def _cell(work: Work | None, planned: int, now: float) -> Cell:
    if work is None:
        return Cell("none")
    if work.passed_at is not None:
        return Cell("passed")
    if now - work.last > PAUSE_S:
        return Cell("paused")
    minutes = _minutes(work, now)
    return Cell("trying", minutes, minutes > planned)


def _stuck(
    shown: Iterable[Person],
    exercises: Mapping[str, int],
    by_account: Mapping[str, Mapping[str, Work]],
    known: Known,
    now: float,
) -> list[Stuck]:
    """Whose latest check of all did not pass; whoever has gone on is not stuck."""
    found = []
    for person in shown:
        all_work = by_account[person.account].values()
        latest = max(all_work, key=lambda each: each.last, default=None)
        if latest is None or latest.exercise not in exercises:
            continue
        planned = exercises[latest.exercise]
        cell = _cell(latest, planned, now)
        if cell.state != "trying":
            continue
        cause = known.sentence(latest.cause) if latest.cause else ""
        about = (latest.exercise, cell.minutes, planned, latest.tries, cause)
        found.append(Stuck(person, *about, is_long=cell.is_long))
    return sorted(found, key=lambda each: (-each.minutes, -each.tries))


def _commonest(
    causes: Iterable[Cause], exercises: Mapping[str, int], known: Known
) -> list[CommonCause]:
    """The first few of each exercise; they come with the most frequent first."""
    found: dict[str, list[CommonCause]] = {each: [] for each in exercises}
    for each in causes:
        if len(listed := found.get(each.exercise, [])) < MOST_CAUSES:
            sentence = known.sentence(each.cause)
            listed.append(CommonCause(each.exercise, sentence, each.people, each.times))
    return [each for listed in found.values() for each in listed]


def _begin_of_session(work: Iterable[Work], now: float) -> float:
    """When the class began to work, after the latest long silence."""
    moments = {each.since for each in work} | {each.last for each in work}
    begun = now
    for moment in sorted(moments, reverse=True):
        if begun - moment > SESSION_S:
            break
        begun = min(begun, moment)
    return begun


def _minutes(work: Work, now: float) -> int:
    """At it so far; a clock that jumped back gives no negative time."""
    return max(0, int((now - work.since) // 60))
