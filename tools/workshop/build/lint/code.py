"""The rules of a code cell: short, apart from the next, and safe to run anywhere."""

import ast
import re

from sparrow.language import _
from workshop.build.cut import cut
from workshop.build.source import Cell, Lab

__all__ = ["AIM_LINES", "findings"]

AIM_LINES, MOST_LINES, MOST_COLUMNS = 12, 25, 79
MOST_OWN_LINES = 15  # that a learner writes for one exercise
DRAWS = {"bar", "barh", "figure", "hist", "imshow", "scatter", "subplots"}


def findings(lab: Lab, at: int) -> list[str]:
    """Every broken rule of one code cell.

    Raises:
        SourceError: the library has no such function to cut.
    """
    cell = lab.cells[at]
    texts = _texts(cell)
    found = _sizes(cell, texts) + _forbidden(texts[0])
    if "solution" not in cell.metadata:
        found += _pictures(cell)
    is_second = at > 0 and lab.cells[at - 1].kind == "code"
    if is_second and not cell.metadata.get("shows_result"):
        found.append(
            _(
                "two code cells in a row: put a sentence between them, or mark this "
                "one shows_result: true if it only shows what the other made."
            )
        )
    return found


def _texts(cell: Cell) -> list[str]:
    """What people read of this cell: the finished one, and the learner's."""
    if "solution" in cell.metadata:
        part = cut(cell.metadata["solution"], str(cell.exercise))
        return [part.whole, part.stub]
    return [cell.text, *([cell.metadata["stub"]] if cell.exercise else [])]


def _sizes(cell: Cell, texts: list[str]) -> list[str]:
    found = []
    own = _own_lines(cell)
    if cell.exercise and own > MOST_OWN_LINES:
        found.append(
            _(
                "learners write {got} lines here; at most {most}: give some of them.",
                got=own,
                most=MOST_OWN_LINES,
            )
        )
    lines = len(cell.text.splitlines())  # a cut one has the length of its docstring
    if lines > MOST_LINES:
        found.append(
            _(
                "{got} lines of code; at most {most}: split the cell.",
                got=lines,
                most=MOST_LINES,
            )
        )
    longest = max(len(line) for text in texts for line in [*text.splitlines(), ""])
    # what is cut out of the library has the library's width
    if longest > MOST_COLUMNS and "solution" not in cell.metadata:
        found.append(
            _(
                "a line of {got} columns; at most {most}: break the line.",
                got=longest,
                most=MOST_COLUMNS,
            )
        )
    return found


def _own_lines(cell: Cell) -> int:
    """Lines that the learner has to write: all of the answer that the stub has not."""
    if "solution" in cell.metadata:
        return len(cut(cell.metadata["solution"], str(cell.exercise)).statements)
    given = {line.strip() for line in cell.metadata.get("stub", "").splitlines()}
    return sum(
        bool(line.strip()) and line.strip() not in given and line.strip()[0] != "#"
        for line in cell.text.splitlines()
    )


def _forbidden(code: str) -> list[str]:
    found = []
    for pattern, what in {
        r"^\s*[!%]": _("a shell or magic command has no place in a lab: remove it."),
        r"\bpip\b.*\binstall\b": _("a lab installs nothing: remove it."),
        r"\bos\.system\b|\bsubprocess\b": _("a lab starts no programs: remove it."),
        r"\bchdir\(": _("a lab stays in its folder: remove the change of folder."),
        r"filterwarnings|simplefilter": _(
            "a lab hides no warnings: mend what warns, and remove the filter."
        ),
    }.items():
        if re.search(pattern, code, re.MULTILINE):
            found.append(what)
    return found


def _pictures(cell: Cell) -> list[str]:
    """A picture has words for those who cannot see it.

    `sparrow.viz.style.show` gives a picture the words of `conclude`; a figure that is
    drawn in any other way needs `alt` in the metadata of its cell.
    """
    called = {_name(node) for node in ast.walk(ast.parse(cell.text))}
    names = {name.rpartition(".")[2] for name in called}
    draws = any(name in DRAWS or name.startswith("plot") for name in names)
    is_told = {"show", "style.show"} & called or cell.metadata.get("alt")
    if (draws and not is_told) or "plt.show" in called:
        return [
            _(
                "a picture without words for who cannot see it: show it with "
                'sparrow.viz.style.show, or give the cell alt: "…".'
            )
        ]
    return []


def _name(node: ast.AST) -> str:
    """What is called, as it is written; nothing for a node that is no call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
