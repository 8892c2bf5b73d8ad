"""Show a result: calm, short, the same words in a notebook and in a terminal."""

import html
import sys

from sparrow.checks.judging import GroupResult, Outcome
from sparrow.language import _

__all__ = ["as_html", "as_text", "show"]

GREEN, RED, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
# Readable on JupyterLab's light and dark background alike; the sign carries the
# meaning too, for those who do not see the colour.
COLOURS = {True: "#2e9e5b", False: "#d1495b"}


def heading(outcome: Outcome) -> str:
    """One sentence about the whole exercise."""
    right = sum(each.passed for each in outcome.groups)
    if outcome.passed:
        return _("Exercise {exercise} passes.", exercise=outcome.exercise)
    return _(
        "Exercise {exercise}: {right} of {all} parts are right.",
        exercise=outcome.exercise,
        right=right,
        all=len(outcome.groups),
    )


def lines(outcome: Outcome) -> list[tuple[GroupResult, str]]:
    """Each group with its message; the same message is not said twice."""
    said: set[str] = set()
    found = []
    for each in outcome.groups:
        found.append((each, "" if each.message in said else each.message))
        said.add(each.message)
    return found


def as_text(outcome: Outcome, colour: bool = False) -> str:
    """The result as lines of text."""
    width = max((len(_(each.name)) for each in outcome.groups), default=0)
    rows = [_painted(heading(outcome), outcome.passed, colour)]
    for each, message in lines(outcome):
        sign = _painted(_sign(each.passed), each.passed, colour)
        # A group's name is data of its lab; the catalogue takes it from there.
        rows.append(f"  {sign} {_(each.name):{width}}  {message}".rstrip())
    return "\n".join(rows)


def as_html(outcome: Outcome) -> str:
    """The result for a notebook."""
    rows = "".join(
        f"<tr>{_cell(_sign(each.passed), f'color: {COLOURS[each.passed]}')}"
        f"{_cell(_(each.name))}{_cell(message)}</tr>"
        for each, message in lines(outcome)
    )
    side = COLOURS[outcome.passed]
    return (
        f'<div style="border-inline-start: 4px solid {side}; '
        f'padding-inline-start: 12px">'
        f"<strong>{html.escape(heading(outcome))}</strong>"
        f'<table style="margin: 4px 0 0 0; color: inherit">{rows}</table></div>'
    )


class _Picture:
    """A result that every front end can show: HTML, and its plain twin."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def __repr__(self) -> str:
        return as_text(self.outcome)

    def _repr_html_(self) -> str:
        return as_html(self.outcome)


def show(outcome: Outcome) -> None:
    """Print the result, or display it where there is a notebook."""
    if _in_notebook():
        from IPython.display import display

        display(_Picture(outcome))
        return
    print(as_text(outcome, colour=sys.stdout.isatty()))


def _in_notebook() -> bool:
    """A kernel has a shell with a connection to its front end."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def _sign(passed: bool) -> str:
    return "✓" if passed else "✗"


def _painted(text: str, passed: bool, colour: bool) -> str:
    return f"{GREEN if passed else RED}{text}{PLAIN}" if colour else text


def _cell(text: str, style: str = "") -> str:
    return (
        f'<td style="text-align: start; vertical-align: top; {style}">'
        f"{html.escape(text)}</td>"
    )
