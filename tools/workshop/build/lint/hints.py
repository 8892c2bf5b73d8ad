"""The rules of hints: three, in order, and never the whole answer."""

import re

from sparrow.language import _
from workshop.build.cut import cut
from workshop.build.source import Cell, Lab

__all__ = ["findings"]

HINTS = ("Think", "Shape", "Line")
DETAILS = re.compile(
    r"<details>\s*<summary>(?P<title>.*?)</summary>(?P<gap>\s*)(?P<body>.*?)</details>",
    re.DOTALL,
)
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")


def findings(lab: Lab, at: int) -> list[str]:
    """Every broken rule of the hints of one exercise."""
    cell = lab.cells[at]
    hints = _hints(lab, at)
    titles = [
        word
        for hint in hints
        for word in re.findall(r"\w+", hint["title"])
        if word in HINTS
    ]
    if tuple(titles) != HINTS:
        return [
            _(
                "its hints are {got}; write {want}, in this order, after the exercise.",
                got=", ".join(titles) or _("none"),
                want=", ".join(HINTS),
            )
        ]
    found = []
    if any(hint["gap"].count("\n") < 2 for hint in hints):
        found.append(
            _("a hint without an empty line after </summary> shows as raw text.")
        )
    lines = [line for line in _code_lines(hints[-1]["body"]) if _is_statement(line)]
    if len(lines) > 1:
        found.append(
            _(
                "the hint Line has {got} lines of code; one is enough: remove "
                "the rest.",
                got=len(lines),
            )
        )
    found += _tells_all(cell, "\n".join(hint["body"] for hint in hints))
    return found


def _hints(lab: Lab, at: int) -> list[re.Match[str]]:
    """The hints between this exercise and the next one."""
    after = []
    for cell in lab.cells[at + 1 :]:
        if cell.exercise:
            break
        after.append(cell.text)
    return list(DETAILS.finditer("\n\n".join(after)))


def _code_lines(text: str) -> list[str]:
    fenced = [line for block in FENCED.findall(text) for line in block.splitlines()]
    return [*fenced, *SPAN.findall(FENCED.sub("", text))]


def _is_statement(code: str) -> bool:
    """`a = f(b)` or `return c`; a name or a call alone is a word of the sentence."""
    return bool(re.search(r"(?<![=!<>(,\w] )=(?!=)|^return\b", code)) and "(" in code


def _tells_all(cell: Cell, text: str) -> list[str]:
    """More than half of the answer's lines, or its only one, stand in the hints."""
    if "solution" in cell.metadata:
        answer = cut(cell.metadata["solution"], str(cell.exercise)).statements
    else:
        answer = tuple(line for line in cell.text.splitlines() if line.strip())
    told = [_bare(line) for line in _code_lines(text)]
    given = sum(any(_bare(line) in each for each in told) for line in answer)
    if given > len(answer) // 2 or given == len(answer):
        return [
            _(
                "the hints tell {got} of the answer's {all} lines: tell less.",
                got=given,
                all=len(answer),
            )
        ]
    return []


def _bare(code: str) -> str:
    """Code without spaces and without the choice of quotes."""
    return re.sub(r"\s+", "", code).replace("'", '"')
