"""Bring a submitted notebook back into shape before nbgrader looks at its metadata.

Learners split, copy, delete and edit cells, and some edit metadata. nbgrader trusts
what it finds. So every cell that it will look at gets the metadata that the gradebook
knows, whatever the submission says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

__all__ = ["Known", "repair"]


@dataclass(frozen=True, kw_only=True)
class Known:
    """A cell as it was released."""

    grade_id: str
    cell_type: str
    source: str
    checksum: str | None
    locked: bool
    is_solution: bool
    points: float | None  # None: the cell earns nothing itself

    def metadata(self) -> dict[str, Any]:
        """What nbgrader wants to find in the cell."""
        found: dict[str, Any] = {
            "schema_version": 3,
            "grade_id": self.grade_id,
            "grade": self.points is not None,
            "solution": self.is_solution,
            "locked": self.locked,
            "task": False,
            "cell_type": self.cell_type,
            "checksum": self.checksum,
        }
        return found if self.points is None else {**found, "points": self.points}


def repair(notebook: Any, known: Sequence[Known]) -> list[str]:
    """Mend the notebook in place.

    Args:
        notebook: the submission.
        known: the released cells, from top to bottom.

    Returns:
        The grade_ids of cells that were missing and are back, empty.
    """
    by_id = {each.grade_id: each for each in known}
    first: dict[str, Any] = {}
    for cell in notebook.cells:
        about = cell.metadata.pop("nbgrader", None)
        grade_id = about.get("grade_id") if isinstance(about, dict) else None
        if not isinstance(grade_id, str) or grade_id not in by_id:
            continue
        if grade_id in first:
            _join(first[grade_id], cell, by_id[grade_id])
            continue
        first[grade_id] = cell
        _set_type(cell, by_id[grade_id].cell_type)
        cell.metadata["nbgrader"] = by_id[grade_id].metadata()
    missing = [each for each in known if each.grade_id not in first]
    for each in missing:
        _put_back(notebook, each, known)
    _number(notebook)
    return [each.grade_id for each in missing]


def _join(first: Any, second: Any, known: Known) -> None:
    """A cell that was split has its id twice: together they are the answer.

    The second becomes an ordinary cell. A copy of the first, or of the empty cell
    that was released, adds nothing.
    """
    if not known.is_solution or second.cell_type != known.cell_type:
        return
    if first.source.strip() == known.source.strip():
        first.source = second.source
    elif second.source.strip() not in (first.source.strip(), known.source.strip()):
        first.source = f"{first.source}\n\n{second.source}"


def _put_back(notebook: Any, missing: Known, known: Sequence[Known]) -> None:
    """Insert a released cell after the one that it followed."""
    make = new_code_cell if missing.cell_type == "code" else new_markdown_cell
    cell = make(missing.source, metadata={"nbgrader": missing.metadata()})
    place = {
        each.metadata["nbgrader"]["grade_id"]: at
        for at, each in enumerate(notebook.cells)
        if "nbgrader" in each.metadata
    }
    ids = [each.grade_id for each in known]
    before = [place[i] for i in ids[: ids.index(missing.grade_id)] if i in place]
    notebook.cells.insert(max(before, default=-1) + 1, cell)


def _set_type(cell: Any, cell_type: str) -> None:
    if cell.cell_type == cell_type:
        return
    cell.cell_type = cell_type
    cell.pop("attachments", None)
    if cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    else:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def _number(notebook: Any) -> None:
    """Ids as format 4.5 wants them: one for each cell, each different."""
    notebook.nbformat_minor = max(5, int(notebook.nbformat_minor))
    seen: set[str] = set()
    for at, cell in enumerate(notebook.cells):
        if cell.get("id") is None or cell["id"] in seen:
            cell["id"] = f"cell-{at}"
        seen.add(cell["id"])
