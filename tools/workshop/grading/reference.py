"""What the full notebook says about a lab: the only metadata that grading believes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from sparrow.errors import ConfigError
from sparrow.language import _
from workshop.grading import rubric
from workshop.grading.rubric import Criterion
from workshop.sandbox import Limits

__all__ = ["Exercise", "Reference", "read"]

DAMAGES = (
    *(OSError, KeyError, AttributeError, TypeError, ValueError),
    nbformat.ValidationError,
)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise; `check_id` is None where a person grades the answer."""

    number: str
    kind: str
    answer_id: str
    check_id: str | None
    points: float
    needs: tuple[str, ...] = ()
    name: str = ""
    solution: str | None = None
    rubric: tuple[Criterion, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A lab's exercises in order, its limits, and its own words."""

    lab: str
    limits: Limits
    exercises: tuple[Exercise, ...]
    order: tuple[str, ...]  # every grade_id, from top to bottom
    own_text: frozenset[str]  # the sources of all cells that came with the lab

    def chain(self, exercise: Exercise) -> list[Exercise]:
        """The exercises whose cells must run for this one, itself last."""
        by_number = {each.number: each for each in self.exercises}
        wanted, queue = {exercise.number}, [*exercise.needs]
        while queue:
            number = queue.pop()
            if number not in wanted and number in by_number:
                wanted.add(number)
                queue += by_number[number].needs
        return [each for each in self.exercises if each.number in wanted]


def read(path: Path) -> Reference:
    """Read a lab's full notebook.

    Raises:
        ConfigError: it is damaged; `workshop build` makes it anew.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        found = notebook.metadata["sparrow"]
        lab, limits = str(found["lab"]), Limits.of(found.get("limits"))
        exercises = _exercises(notebook.cells)
    except DAMAGES as error:
        raise ConfigError(
            _(
                "The notebook {path} is damaged ({reason}): run `workshop build`.",
                path=path,
                reason=f"{type(error).__name__}: {error}",
            )
        ) from error
    ids = [each.metadata.nbgrader.grade_id for each in notebook.cells if _is_ours(each)]
    own_text = frozenset(each.source for each in notebook.cells)
    return Reference(lab, limits, tuple(exercises), tuple(ids), own_text)


def _is_ours(cell: Any) -> bool:
    return "grade_id" in cell.metadata.get("nbgrader", {})


def _exercises(cells: list[Any]) -> list[Exercise]:
    checks = {
        cell.metadata.sparrow.exercise: cell.metadata.nbgrader
        for cell in cells
        if cell.metadata.get("sparrow", {}).get("role") == "check"
    }
    found = []
    for cell in cells:
        about = cell.metadata.get("sparrow", {})
        if about.get("role") != "answer":
            continue
        check = checks.get(about["exercise"])
        points = check["points"] if check else cell.metadata.nbgrader["points"]
        found.append(
            Exercise(
                number=about["exercise"],
                kind=about["kind"],
                answer_id=cell.metadata.nbgrader["grade_id"],
                check_id=check["grade_id"] if check else None,
                points=float(points),
                needs=tuple(about.get("needs") or ()),
                name=about.get("name") or "",
                solution=about.get("solution"),
                rubric=rubric.parse(about.get("rubric") or ()),
            )
        )
    return found
