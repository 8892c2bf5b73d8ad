"""A course with one hand-made lab of four exercises, made in a temporary folder."""

import shutil
import sys
import types
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

REPOSITORY = Path(__file__).parents[2]
LAB = "00_preflight"
POINTS = {"0.1": 1.0, "0.2": 4.0, "0.3": 5.0, "0.6": 3.0}

GUESS = "guess_years = 1000"
EFFORT = '''
from sparrow.cost.bill import Effort

def training_effort(active_parameters, tokens, flops_per_s):
    """The two bills."""
    flops = 6 * active_parameters * tokens
    return Effort(flops=flops, machine_hours=flops / flops_per_s / 3600)
'''
FOOTPRINT = """
from sparrow.cost.bill import Footprint

def footprint(*, machine_hours, power_w, pue, price_per_hour, tariff_per_kwh,
              grid_g_per_kwh):
    kwh = machine_hours * power_w / 1000 * pue
    money = machine_hours * price_per_hour + kwh * tariff_per_kwh
    return Footprint(energy_kwh=kwh, co2_kg=kwh * grid_g_per_kwh / 1000, money=money)
"""
STUBS = {
    "answer-0-1": "guess_years = None",
    "answer-0-2": "def training_effort(active_parameters, tokens, flops_per_s):\n"
    '    raise NotImplementedError("Exercise 0.2: …")',
    "answer-0-3": "def footprint(**given):\n"
    '    raise NotImplementedError("Exercise 0.3: …")',
    "answer-0-6": "*Write your answer here: two or three sentences.*",
}
RUBRIC = {"3": "Says what is counted.", "1.5": "Says it in part."}


def full_notebook(limits: dict[str, Any] | None = None) -> Any:
    """The lab as `workshop build` writes it."""
    cells = [
        new_markdown_cell("# Lab 00\n\nCosts, $a < b$.", id="c000"),
        new_code_cell("from sparrow.checks import check", id="c001"),
        *_exercise("0.1", "predict", "guess_years", GUESS),
        *_exercise(
            "0.2",
            "build",
            "training_effort",
            EFFORT,
            solution="sparrow.cost.bill:training_effort",
        ),
        *_exercise(
            "0.3",
            "build",
            "footprint",
            FOOTPRINT,
            solution="sparrow.cost.bill:footprint",
            needs=["0.2"],
        ),
        new_markdown_cell(
            "The hours are those of the step alone.",
            id="answer-0-6",
            metadata={
                "sparrow": {
                    "exercise": "0.6",
                    "kind": "explain",
                    "role": "answer",
                    "points": 3,
                    "needs": [],
                    "name": "",
                    "solution": None,
                    "rubric": [RUBRIC],
                },
                "nbgrader": _nbgrader(
                    "answer-0-6", grade=True, solution=True, points=3
                ),
            },
        ),
    ]
    about = {"lab": LAB, "limits": limits or {"seconds": 3, "memory_gib": 1}}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(
        cells=cells, metadata={"sparrow": about, "kernelspec": kernel}
    )
    notebook.nbformat_minor = 5
    return notebook


def _nbgrader(grade_id: str, **changes: Any) -> dict[str, Any]:
    found = {"grade": False, "solution": False, "locked": False, "task": False}
    return {**found, "schema_version": 3, "grade_id": grade_id, **changes}


def _exercise(
    number: str, kind: str, name: str, source: str, **more: Any
) -> tuple[Any, Any]:
    suffix = number.replace(".", "-")
    points = POINTS[number]
    about = {"exercise": number, "kind": kind, "name": name, "points": points}
    answer = new_code_cell(
        source.strip(),
        id=f"answer-{suffix}",
        metadata={
            "sparrow": {
                **about,
                "role": "answer",
                "needs": more.get("needs", []),
                "solution": more.get("solution"),
            },
            "nbgrader": _nbgrader(f"answer-{suffix}", solution=True),
        },
    )
    check = new_code_cell(
        f'check("{number}", {name})',
        id=f"check-{suffix}",
        metadata={
            "sparrow": {"exercise": number, "role": "check", "name": name},
            "nbgrader": _nbgrader(
                f"check-{suffix}", grade=True, locked=True, points=points
            ),
        },
    )
    return answer, check


def release(full: Any) -> Any:
    """The learner's notebook: what the builder's `release` does, for this lab."""
    learner = deepcopy(full)
    for cell in learner.cells:
        cell.metadata.get("sparrow", {}).pop("rubric", None)
        if stub := STUBS.get(cell.get("id")):
            cell.source = stub
    return learner


def make(folder: Path, monkeypatch: Any) -> Path:
    """A course folder with the lab built; the builder's place is taken by `release`."""
    builder = types.ModuleType("workshop.build")
    builder.release = release  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "workshop.build", builder)
    import workshop

    monkeypatch.setattr(workshop, "build", builder, raising=False)
    shutil.copy(REPOSITORY / "nbgrader_config.py", folder)
    write(full_notebook(), folder / "solutions" / LAB / f"{LAB}.ipynb")
    return folder


def answered(**answers: str) -> Any:
    """What a learner hands in: the release with some answers, such as answer_0_2=…."""
    notebook = release(full_notebook())
    for cell in notebook.cells:
        if (name := cell["id"].replace("-", "_")) in answers:
            cell.source = answers[name]
    return notebook


def solved() -> Any:
    """All four exercises answered, as the full notebook has them."""
    return full_notebook()


def hand_in(course: Path, learner: str, notebook: Any) -> Path:
    """Put a notebook where `workshop grade` finds it."""
    path = course / "submitted" / learner / LAB / f"{LAB}.ipynb"
    write(notebook, path)
    return path


def write(notebook: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
