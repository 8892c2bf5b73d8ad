"""What earns points in a written answer: shown to whoever marks it, and to nobody else.

It stands in the lab's source and in the full notebook. The learner's notebook, the
graded one and the feedback do not have it: it says what a right answer says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Criterion", "Level", "beside", "parse", "points_of"]


@dataclass(frozen=True)
class Level:
    """One step of a criterion: what an answer says that earns these points."""

    points: float
    words: str


@dataclass(frozen=True)
class Criterion:
    """One thing that is valued; the best level comes first."""

    levels: tuple[Level, ...]


def parse(told: Sequence[Mapping[str, str]]) -> tuple[Criterion, ...]:
    """Read `[{"1": "Names both causes.", "0.5": "Names one of them."}, …]`.

    Raises:
        ValueError: a level's points are no number above 0, or it has no words.
    """
    return tuple(_criterion(each) for each in told)


def _criterion(told: Mapping[str, str]) -> Criterion:
    levels = [Level(float(points), str(words)) for points, words in told.items()]
    if not levels or not all(x.points > 0 and x.words.strip() for x in levels):
        raise ValueError("no level")
    return Criterion(tuple(sorted(levels, key=lambda x: -x.points)))


def points_of(criteria: Sequence[Criterion]) -> float:
    """What an answer earns that reaches the best level of each criterion."""
    return sum(each.levels[0].points for each in criteria)


def beside(course: Path) -> Callable[[Any, str], tuple[Criterion, ...]]:
    """What formgrader's page asks for a cell: `grade_id | rubric(lab)`.

    Args:
        course: the course folder.
    """

    def rubric(grade_id: Any, lab: str) -> tuple[Criterion, ...]:
        """Empty where the cell is no written answer."""
        from workshop.grading import reference
        from workshop.grading.course import Course

        known = reference.read(Course.at(course).reference_path(lab))
        found = [each.rubric for each in known.exercises if each.answer_id == grade_id]
        return found[0] if found else ()

    return rubric
