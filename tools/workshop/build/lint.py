"""Hold a lab to the rules of how a lab is written; every finding says what to do."""

import re

from sparrow.language import _
from workshop.build.failures import SourceError
from workshop.build.source import Cell, Lab

__all__ = ["check", "findings"]

CODE_LINES, CODE_COLUMNS, WORDS = 25, 79, 80
CELLS = range(40, 61)
EXERCISES = range(4, 7)
# A guess and a written answer are parts of every lab; the others are solved in code.
SOLVED_IN_CODE = ("build", "break", "measure")
BEATS = ("Question", "Predict", "Look", "Build", "Measure", "Explain", "Keep")
HINTS = ("Think", "Shape", "Line")
DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
FORBIDDEN = {
    r"^\s*[!%]": "a shell or magic command",
    r"\bpip install\b": "an installation",
    r"\bchdir\(": "a change of folder",
    r"filterwarnings|simplefilter": "a warning filter",
}
DIRECTIVE = re.compile(r"^(:::|```\{)|\{[a-z]+\}`", re.MULTILINE)


def check(lab: Lab) -> None:
    """Refuse a lab that breaks a rule.

    Raises:
        SourceError: with all findings, one a line.
    """
    if found := findings(lab):
        raise SourceError("\n".join(found))


def findings(lab: Lab) -> list[str]:
    """Every broken rule, with its cell."""
    found = []
    previous: Cell | None = None
    for number, cell in enumerate(lab.cells, start=1):
        told = _code(cell, previous) if cell.kind == "code" else _prose(cell)
        where = _("{file}, cell {number}", file=lab.path.name, number=number)
        found += [f"{where}: {each}" for each in told]
        previous = cell
    if lab.name[:2].isdigit():
        found += [f"{lab.path.name}: {each}" for each in _whole(lab)]
    return found


def _code(cell: Cell, previous: Cell | None) -> list[str]:
    """Rules of one code cell."""
    found = []
    lines = cell.text.splitlines()
    if "solution" not in cell.metadata and len(lines) > CODE_LINES:
        found.append(
            _("{got} lines of code; at most {most}: split it.", got=len(lines), most=25)
        )
    longest = max((len(line) for line in lines), default=0)
    if longest > CODE_COLUMNS and "solution" not in cell.metadata:
        found.append(
            _(
                "a line of {got} columns; at most {most}: break it.",
                got=longest,
                most=79,
            )
        )
    for pattern, what in FORBIDDEN.items():
        if re.search(pattern, cell.text, re.MULTILINE):
            found.append(_("{what} has no place in a lab: remove it.", what=what))
    # after an exercise comes its check, which is no second cell of the author's
    is_second = (
        previous is not None and previous.kind == "code" and not previous.exercise
    )
    if is_second and not cell.metadata.get("shows_result"):
        found.append(_("two code cells in a row: put a sentence between them."))
    return found


def _prose(cell: Cell) -> list[str]:
    """Rules of one text cell."""
    found = []
    visible = DETAILS.sub("", cell.text)
    words = len([word for word in visible.split() if word.strip("#|-*")])
    if words > WORDS and not cell.exercise and "|" not in visible:
        found.append(
            _("{got} words; at most {most}, one idea: split it.", got=words, most=WORDS)
        )
    if DIRECTIVE.search(visible):
        found.append(_("a directive or role, which JupyterLab shows raw: remove it."))
    return found


def _whole(lab: Lab) -> list[str]:
    """Rules of the lab as a whole."""
    found = []
    text = "\n\n".join(cell.text for cell in lab.cells if cell.kind == "markdown")
    headings = re.findall(r"^## (\w+)", text, re.MULTILINE)
    order = [heading for heading in headings if heading in BEATS]
    if tuple(order) != BEATS:
        found.append(
            _(
                "its parts are {got}; they must be {want}.",
                got=", ".join(order),
                want=", ".join(BEATS),
            )
        )
    extra = sum(2 if each.kind == "code" else 1 for each in lab.exercises)
    count = len(lab.cells) + extra
    if count not in CELLS:
        found.append(_("{got} cells; a lab has 40 to 60.", got=count))
    coded = sum(each.metadata["kind"] in SOLVED_IN_CODE for each in lab.exercises)
    if coded not in EXERCISES:
        found.append(
            _("{got} exercises that are solved in code; a lab has 4 to 6.", got=coded)
        )
    minutes = sum(each.metadata["minutes"] for each in lab.exercises)
    if minutes > lab.about.get("minutes", 0):
        found.append(
            _(
                "its exercises take {got} minutes, more than its {most}.",
                got=minutes,
                most=lab.about.get("minutes", 0),
            )
        )
    for each in lab.exercises:
        if each.metadata["kind"] == "build":
            found += _hints(lab, each)
    return found


def _hints(lab: Lab, exercise: Cell) -> list[str]:
    """Think, Shape and Line, in this order, before the next exercise."""
    place = lab.cells.index(exercise)
    after = []
    for cell in lab.cells[place + 1 :]:
        if cell.exercise:
            break
        after.append(cell.text)
    summaries = re.findall(r"<summary>(.*?)</summary>", "\n".join(after))
    got = [word for each in summaries for word in re.findall(r"\w+", each)]
    got = [word for word in got if word in HINTS]
    if tuple(got) == HINTS:
        return []
    return [
        _(
            "exercise {number} has the hints {got}; it needs {want}, in this order.",
            number=exercise.exercise,
            got=", ".join(got) or _("none"),
            want=", ".join(HINTS),
        )
    ]
