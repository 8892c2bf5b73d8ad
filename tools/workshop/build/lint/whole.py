"""The rules of a lab as a whole: seven beats, a budget, and a first cell."""

import ast
import re

from sparrow.language import _
from workshop.build.source import Lab

__all__ = ["findings"]

CELLS, EXERCISES, MINUTES = range(40, 61), range(4, 7), range(60, 91)
# A guess and a written answer are parts of every lab; the others are solved in code.
SOLVED_IN_CODE = ("build", "break", "measure")
BEATS = ("Question", "Predict", "Look", "Build", "Measure", "Explain", "Keep")


def findings(lab: Lab) -> list[str]:
    """Every broken rule of the whole lab; a page without a number has only two."""
    found = _first_cell(lab)
    if lab.is_numbered:
        found += _beats(lab) + _counts(lab) + _minutes(lab)
    return found


def _first_cell(lab: Lab) -> list[str]:
    """Imports, and the lab's own `start`."""
    codes = [cell for cell in lab.cells if cell.kind == "code"]
    if not codes:
        return [_("there is no code cell: begin with one that calls start.")]
    calls = [
        node.args[0].value
        for node in ast.walk(ast.parse("" if codes[0].exercise else codes[0].text))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "start"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    if calls == [lab.name]:
        return []
    return [
        _(
            'the first code cell must call lab = start("{name}") once, and calls: '
            "{got}.",
            name=lab.name,
            got=", ".join(f"start({each!r})" for each in calls) or _("nothing"),
        )
    ]


def _beats(lab: Lab) -> list[str]:
    text = "\n\n".join(cell.text for cell in lab.cells if cell.kind == "markdown")
    order = re.findall(r"^## (.+?)\s*$", text, re.MULTILINE)
    if tuple(order) == BEATS:
        return []
    return [
        _(
            "its headings are {got}; write these seven: {want}.",
            got=", ".join(order) or _("none"),
            want=", ".join(BEATS),
        )
    ]


def _counts(lab: Lab) -> list[str]:
    found = []
    # the builder adds a card to every exercise, and a check to those in code
    added = sum(2 if each.kind == "code" else 1 for each in lab.exercises)
    count = len(lab.cells) + added
    if count not in CELLS:
        found.append(
            _(
                "{got} cells, with cards and checks; a lab has {low} to {high}.",
                got=count,
                low=CELLS[0],
                high=CELLS[-1],
            )
        )
    kinds = [each.metadata["kind"] for each in lab.exercises]
    coded = sum(kind in SOLVED_IN_CODE for kind in kinds)
    if coded not in EXERCISES:
        found.append(
            _(
                "{got} exercises that are solved in code; a lab has {low} to {high}.",
                got=coded,
                low=EXERCISES[0],
                high=EXERCISES[-1],
            )
        )
    for kind in ("predict", "explain"):
        if kind not in kinds:
            found.append(_("no exercise of kind {kind}: add one.", kind=kind))
    return found


def _minutes(lab: Lab) -> list[str]:
    budget = lab.about["minutes"]
    total = sum(each.metadata["minutes"] for each in lab.exercises)
    if budget not in MINUTES:
        return [
            _(
                "a budget of {got} minutes; a lab takes {low} to {high}.",
                got=budget,
                low=MINUTES[0],
                high=MINUTES[-1],
            )
        ]
    if total > budget:
        return [
            _(
                "its exercises take {got} minutes, more than its {most}: make one "
                "shorter, or leave one out.",
                got=total,
                most=budget,
            )
        ]
    return []
