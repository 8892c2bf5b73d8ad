"""Turn a source into the full notebook, and the full notebook into the learner's."""

import json
from copy import deepcopy
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workshop.build.cut import cut
from workshop.build.source import Cell, Lab

__all__ = ["catalogue", "full", "release", "released", "text_of"]

SCHEMA = 3
FORMAT = (4, 5)
WRITE_HERE = "*Write your answer here: two or three sentences.*"
LANGUAGE = {"name": "python"}


def full(lab: Lab) -> Any:
    """The full notebook: nbgrader's "source", with every answer in it."""
    cells: list[Any] = []
    for cell in lab.cells:
        if cell.exercise is None:
            cells.append(_plain(cell, len(cells)))
        elif cell.metadata["kind"] == "explain":
            cells += [_card(cell), _explain(cell)]
        else:
            cells += [_card(cell), _answer(cell), _check(cell)]
    metadata = {
        "kernelspec": lab.kernelspec,
        "language_info": LANGUAGE,
        "sparrow": {"lab": lab.name, "limits": lab.about.get("limits", {})},
    }
    notebook = new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat, notebook.nbformat_minor = FORMAT  # not the newest of the day
    return notebook


def release(notebook: Any) -> Any:
    """The learner's notebook: every answer cut down to its stub, nothing executed.

    What a written answer is valued by would say the answer: it goes too.
    """
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        told = cell.metadata.get("sparrow", {})
        if told.get("role") == "answer":
            cell.source = _stub(told)
            for secret in ("stub", "rubric"):
                told.pop(secret, None)
    return notebook


def released(notebook: Any) -> Any:
    """The learner's notebook with nbgrader's own marks, as it is committed in labs/."""
    from nbgrader.preprocessors import ClearOutput, ComputeChecksums, LockCells

    notebook = deepcopy(notebook)
    resources: dict[str, Any] = {}
    notebook, resources = LockCells().preprocess(notebook, resources)
    notebook = release(notebook)
    for step in (ClearOutput(), ComputeChecksums()):
        notebook, resources = step.preprocess(notebook, resources)
    return notebook


def catalogue(labs: list[Lab]) -> str:
    """What `sparrow.lab` knows of each lab, as JSON."""
    told = [
        {
            "name": lab.name,
            "title": lab.about["title"],
            "question": lab.about["question"],
            "minutes": lab.about["minutes"],
            "memory_gib": lab.about["memory_gib"],
            "artefacts": list(lab.about.get("artefacts", [])),
            "solutions": {
                str(each.exercise): each.metadata["solution"]
                for each in lab.exercises
                if "solution" in each.metadata
            },
            "checked_minutes": {
                str(each.exercise): each.metadata["minutes"]
                for each in lab.exercises
                if each.metadata["kind"] != "explain"
            },
        }
        for lab in labs
    ]
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def text_of(notebook: Any) -> str:
    """The file's text: keys sorted, so that equal notebooks are equal bytes."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _stub(told: dict[str, Any]) -> str:
    if told["kind"] == "explain":
        return WRITE_HERE
    if told["solution"]:
        return cut(told["solution"], told["exercise"]).stub
    return str(told["stub"]).rstrip("\n")


def _plain(cell: Cell, place: int) -> Any:
    """A cell that is no exercise."""
    make = new_code_cell if cell.kind == "code" else new_markdown_cell
    metadata: dict[str, Any] = {}
    if tags := cell.metadata.get("tags"):
        metadata["tags"] = list(tags)
    if alt := cell.metadata.get("alt"):  # where the book's engine looks for it
        metadata["mystnb"] = {"image": {"alt": alt}}
    return make(cell.text, id=f"c{place:03d}", metadata=metadata)


def _slug(cell: Cell) -> str:
    return str(cell.exercise).replace(".", "-")


def _card(cell: Cell) -> Any:
    """One line that announces the exercise."""
    told = cell.metadata
    points = f"{told['points']} point" + ("" if told["points"] == 1 else "s")
    parts = [
        f"**Exercise {cell.exercise}**",
        told["kind"],
        f"{told['minutes']} min",
        points,
    ]
    if told.get("needs"):
        parts.append("needs " + ", ".join(told["needs"]))
    lines = [" · ".join(parts)]
    if told["kind"] == "explain":
        lines += ["", "A person reads your answer and marks it."]
    return new_markdown_cell("\n".join(lines), id=f"card-{_slug(cell)}")


def _about(cell: Cell, name: str) -> dict[str, Any]:
    """What the grader and the book know of an answer cell."""
    told = cell.metadata
    about = {
        "exercise": cell.exercise,
        "kind": told["kind"],
        "role": "answer",
        "points": told["points"],
        "needs": list(told.get("needs", [])),
        "name": name,
        "solution": told.get("solution"),
    }
    if "stub" in told:
        about["stub"] = told["stub"]
    if "rubric" in told:
        about["rubric"] = [dict(each) for each in told["rubric"]]
    return about


def _nbgrader(grade_id: str, **flags: Any) -> dict[str, Any]:
    """nbgrader's own metadata."""
    told = {"grade": False, "solution": False, "locked": False, "task": False, **flags}
    return {"schema_version": SCHEMA, "grade_id": grade_id, **told}


def _explain(cell: Cell) -> Any:
    """The written answer, marked by hand."""
    name = f"answer-{_slug(cell)}"
    metadata = {
        "sparrow": _about(cell, ""),
        "nbgrader": _nbgrader(
            name, grade=True, solution=True, points=cell.metadata["points"]
        ),
    }
    return new_markdown_cell(cell.text, id=name, metadata=metadata)


def _answer(cell: Cell) -> Any:
    """The cell in which learners write code."""
    told, grade_id = cell.metadata, f"answer-{_slug(cell)}"
    if "solution" in told:
        part = cut(told["solution"], str(cell.exercise))
        name, text = part.name, part.whole
    else:
        name, text = told["answer"], cell.text
    metadata = {
        "sparrow": _about(cell, name),
        "nbgrader": _nbgrader(grade_id, solution=True),
    }
    return new_code_cell(text, id=grade_id, metadata=metadata)


def _check(cell: Cell) -> Any:
    """The locked cell that checks the answer, and carries its points."""
    answer = _answer(cell).metadata["sparrow"]["name"]
    grade_id = f"check-{_slug(cell)}"
    metadata = {
        "sparrow": {"exercise": cell.exercise, "role": "check", "name": answer},
        "nbgrader": _nbgrader(
            grade_id, grade=True, locked=True, points=cell.metadata["points"]
        ),
    }
    text = f'check("{cell.exercise}", {answer})'
    return new_code_cell(text, id=grade_id, metadata=metadata)
