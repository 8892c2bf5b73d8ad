"""Refuse a source whose exercises contradict themselves, before anything is made."""

import ast
import re
from typing import Any

from sparrow.language import _
from workshop.build.failures import SourceError
from workshop.build.source import Cell, Lab
from workshop.grading import rubric

__all__ = ["KINDS", "check", "defined"]

KINDS = ("predict", "build", "break", "measure", "explain")
EXERCISE_KEYS = {
    *("exercise", "kind", "minutes", "points", "needs"),
    *("solution", "answer", "stub", "rubric"),
}
OTHER_KEYS = {"alt", "shows_result", "tags"}
ABOUT = {"title": str, "question": str, "minutes": int, "memory_gib": int | float}
SYMBOL = re.compile(r"[\w.]+:\w+(\.\w+)*")


def check(lab: Lab) -> None:
    """Refuse what no notebook can be made of.

    Raises:
        SourceError: one sentence, with the line of the cell.
    """
    _check_about(lab)
    seen: list[str] = []
    for cell in lab.cells:
        problem = _key_problem(cell)
        if problem is None and cell.kind == "code" and "solution" not in cell.metadata:
            problem = _syntax_problem(cell.text)
        if problem is None and cell.exercise is not None:
            problem = _exercise_problem(lab, cell, seen)
            seen.append(cell.exercise)
        if problem:
            raise SourceError(
                _(
                    "{file}:{line}: {problem}.",
                    file=lab.path.name,
                    line=cell.line,
                    problem=problem,
                )
            )


def _check_about(lab: Lab) -> None:
    for key, kind in ABOUT.items():
        if not isinstance(lab.about.get(key), kind):
            raise SourceError(
                _(
                    '{file}: the block "sparrow:" needs {key}, and has {got}.',
                    file=lab.path.name,
                    key=key,
                    got=repr(lab.about.get(key)),
                )
            )


def _key_problem(cell: Cell) -> str | None:
    known = EXERCISE_KEYS | OTHER_KEYS if cell.exercise else OTHER_KEYS
    if unknown := sorted(set(cell.metadata) - known):
        return _(
            "the cell has the unknown key {key}; known are {known}",
            key=unknown[0],
            known=", ".join(sorted(known)),
        )
    return None


def _syntax_problem(code: str) -> str | None:
    try:
        ast.parse(code)
    except SyntaxError as error:
        return _(
            "line {line} of the cell is not valid Python ({reason})",
            line=error.lineno,
            reason=error.msg,
        )
    return None


def _exercise_problem(lab: Lab, cell: Cell, seen: list[str]) -> str | None:
    problem = _number_problem(lab, cell, seen) or _kind_problem(cell)
    if problem is None and cell.kind == "code":
        problem = _code_problem(cell)
    if problem is None:
        return None
    return _(
        "exercise {number}: {problem}", number=repr(cell.exercise), problem=problem
    )


def _number_problem(lab: Lab, cell: Cell, seen: list[str]) -> str | None:
    number: Any = cell.exercise
    if not isinstance(number, str):
        return _("its number must stand in quotes")
    if number in seen:
        return _("this number is used twice")
    if not lab.is_numbered:
        return _("a page without a number has no exercises")
    lab_number = str(int(lab.name[:2]))
    if not re.fullmatch(rf"{lab_number}\.\d+", number):
        return _("its number must be {lab}.1, {lab}.2 and so on", lab=lab_number)
    needs = cell.metadata.get("needs", [])
    if not isinstance(needs, list):
        return _("needs must be a list of numbers in quotes")
    if late := [need for need in needs if need not in seen]:
        return _("it needs {need}, which does not come before it", need=late[0])
    return None


def _kind_problem(cell: Cell) -> str | None:
    told = cell.metadata
    if told.get("kind") not in KINDS:
        return _("kind must be one of {kinds}", kinds=", ".join(KINDS))
    for key in ("minutes", "points"):
        if not isinstance(told.get(key), int | float) or told[key] <= 0:
            return _("{key} must be a number above 0", key=key)
    if (told["kind"] == "explain") != (cell.kind == "markdown"):
        return _("explain is a text cell, and only explain is")
    if told["kind"] == "explain":
        return _rubric_problem(told)
    return None


def _rubric_problem(told: dict[str, Any]) -> str | None:
    try:
        best = rubric.points_of(rubric.parse(told["rubric"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return _(
            "explain needs a rubric: a list of what is valued, each {example}",
            example='{"1": "…", "0.5": "…"}',
        )
    if best != told["points"]:
        return _(
            "the best levels of its rubric add up to {sum} points, and the exercise "
            "has {points}",
            sum=f"{best:g}",
            points=told["points"],
        )
    return None


def _code_problem(cell: Cell) -> str | None:
    told = cell.metadata
    if ("solution" in told) == ("answer" in told):
        return _("it needs solution (a library symbol) or answer (a name), not both")
    if "solution" in told:
        if not SYMBOL.fullmatch(str(told["solution"])):
            return _("solution must be written module:function")
        if any(line and line[0] != "#" for line in cell.text.splitlines()):
            return _("its body comes from the library: leave the cell empty")
        return None
    if not isinstance(told.get("stub"), str):
        return _("an answer needs a stub, which is what learners get")
    if problem := _syntax_problem(told["stub"]):
        return problem
    for text in (cell.text, told["stub"]):
        if told["answer"] not in defined(ast.parse(text)):
            return _("cell and stub must both define {name}", name=told["answer"])
    return None


def defined(tree: ast.Module) -> set[str]:
    """The names that code defines at its top; imports are not among them."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                names.add(each.id)
    return names
