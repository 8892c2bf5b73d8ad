"""Read a lab's source: MyST Markdown, with the exercises in its cells' metadata."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparrow.language import _
from workshop.build.failures import LabNotFoundError, SourceError

__all__ = ["KINDS", "Cell", "Lab", "find", "names", "read"]

ROOT = Path(__file__).parents[3]
SOLUTIONS = ROOT / "solutions"
KINDS = ("predict", "build", "break", "measure", "explain")
EXERCISE_KEYS = {
    "exercise",
    "kind",
    "minutes",
    "points",
    "needs",
    "solution",
    "answer",
    "stub",
    "rubric",
}
NUMBERS = ("minutes", "points")
OTHER_KEYS = {"alt", "shows_result", "tags"}


@dataclass(kw_only=True)
class Cell:
    """One cell as it was written."""

    kind: str  # "markdown" or "code"
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def exercise(self) -> str | None:
        """The number of the exercise, such as `2.3`, if the cell is one."""
        return self.metadata.get("exercise")


@dataclass(kw_only=True)
class Lab:
    """A whole source; `about` is the `sparrow:` block of its first lines."""

    name: str
    path: Path
    about: dict[str, Any]
    kernelspec: dict[str, str]
    cells: list[Cell]

    @property
    def exercises(self) -> list[Cell]:
        """The cells that are exercises, in order."""
        return [cell for cell in self.cells if cell.exercise is not None]


def names(folder: Path = SOLUTIONS) -> list[str]:
    """All labs that have a source."""
    return sorted(path.stem for path in folder.glob("*.md"))


def find(name: str, folder: Path = SOLUTIONS) -> Path:
    """The source of a lab.

    Raises:
        LabNotFoundError: there is none of that name.
    """
    path = folder / f"{name}.md"
    if not path.is_file():
        raise LabNotFoundError(
            _(
                'There is no lab "{name}"; there are: {labs}.',
                name=name,
                labs=", ".join(names(folder)) or _("none"),
            )
        )
    return path


def read(path: Path) -> Lab:
    """Read a source and check the metadata of its exercises.

    Raises:
        SourceError: it cannot be read, or an exercise contradicts itself.
    """
    import jupytext  # late: it takes half a second to import

    try:
        notebook = jupytext.reads(path.read_text("utf-8"), fmt="md:myst")
    except Exception as error:  # jupytext and its parsers raise many kinds
        raise SourceError(
            _("{path} cannot be read: {reason}", path=path.name, reason=error)
        ) from error
    about = notebook.metadata.get("sparrow")
    if not isinstance(about, dict) or about.get("lab") != path.stem:
        raise SourceError(
            _(
                '{path} must say "sparrow: lab: {name}" in its first lines.',
                path=path.name,
                name=path.stem,
            )
        )
    cells = [
        Cell(
            kind="code" if each.cell_type == "code" else "markdown",
            text=each.source.strip("\n"),
            metadata=dict(each.metadata),
        )
        for each in notebook.cells
    ]
    lab = Lab(
        name=path.stem,
        path=path,
        about=dict(about),
        kernelspec=dict(notebook.metadata.get("kernelspec", {})),
        cells=[cell for cell in cells if cell.text or cell.exercise],
    )
    _check_exercises(lab)
    return lab


def _check_exercises(lab: Lab) -> None:
    """Numbers once each, known kinds and keys, needs that come before."""
    seen: list[str] = []
    for cell in lab.cells:
        known = EXERCISE_KEYS | OTHER_KEYS if cell.exercise else OTHER_KEYS
        if unknown := sorted(set(cell.metadata) - known):
            raise SourceError(
                _(
                    "{lab}: a cell has the unknown key {key}; known are {known}.",
                    lab=lab.name,
                    key=unknown[0],
                    known=", ".join(sorted(known)),
                )
            )
        if cell.exercise is not None:
            _check_exercise(lab, cell, seen)
            seen.append(cell.exercise)


def _check_exercise(lab: Lab, cell: Cell, seen: list[str]) -> None:
    told, number = cell.metadata, str(cell.exercise)
    problem = None
    if not isinstance(cell.exercise, str):
        problem = _("its number must stand in quotes")
    elif number in seen:
        problem = _("this number is used twice")
    elif told.get("kind") not in KINDS:
        problem = _("kind must be one of {kinds}", kinds=", ".join(KINDS))
    elif not all(
        isinstance(told.get(key), int | float) for key in ("minutes", "points")
    ):
        problem = _("minutes and points must be numbers")
    elif late := [need for need in told.get("needs", []) if need not in seen]:
        problem = _("it needs {need}, which does not come before it", need=late[0])
    elif (told["kind"] == "explain") != (cell.kind == "markdown"):
        problem = _("explain is a text cell, and only explain is")
    elif told["kind"] == "explain" and not told.get("rubric"):
        problem = _("explain needs a rubric")
    elif told["kind"] != "explain" and ("solution" in told) == ("answer" in told):
        problem = _("it needs solution (a library symbol) or answer (a name), not both")
    elif "answer" in told and not told.get("stub"):
        problem = _("an answer needs a stub, which is what learners get")
    if problem:
        raise SourceError(
            _(
                "{lab}, exercise {number}: {problem}.",
                lab=lab.name,
                number=number,
                problem=problem,
            )
        )
