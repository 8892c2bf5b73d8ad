"""Say how it went: to the learner as Markdown, to the instructor as a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from sparrow.checks.display import lines
from sparrow.checks.judging import Outcome
from sparrow.language import _

__all__ = ["Mark", "comment", "points_in_words", "problems", "table"]


@dataclass(frozen=True)
class Mark:
    """One exercise of one learner; `score` is None until a person has graded it."""

    exercise: str
    score: float | None
    points: float


def comment(outcome: Outcome, points: float) -> str:
    """What the learner reads below the answer: groups and causes, never a case."""
    earned = points_in_words(outcome.points_frac * points)
    head = _("{earned} of {points} points.", earned=earned, points=f"{points:g}")
    rows = [
        f"- {'✓' if each.passed else '✗'} {escaped(_(each.name))}"
        + (f": {escaped(message)}" if message else "")
        for each, message in lines(outcome)
    ]
    return "\n".join([head, "", *rows])


def points_in_words(points: float) -> str:
    """At most two decimals, none where there are none."""
    return f"{round(points, 2):g}"


def escaped(text: str) -> str:
    """Text that may hold a submission's own words: no markup outside `code`."""
    pieces = re.split(r"(`[^`\n]*`)", text)
    for at in range(0, len(pieces), 2):
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            pieces[at] = pieces[at].replace(character, entity)
    return "".join(pieces)


def table(
    lab: str,
    marks: Mapping[str, Sequence[Mark]],
    refused: Mapping[str, str],
    late: Mapping[str, float],
) -> Table:
    """Learners by exercises. A dot waits for a person; a dash was not graded.

    `late` is what late work has cost; the total is without it.
    """
    columns = next(iter(marks.values()), ())
    shown = Table(title=_("Lab {lab}", lab=lab), title_justify="left")
    shown.add_column(_("Learner"), no_wrap=True, overflow="ellipsis")
    for each in columns:
        shown.add_column(f"{each.exercise}\n/{each.points:g}", justify="right")
    is_late = any(late.get(each) for each in marks)
    if is_late:
        shown.add_column(_("Late"), justify="right")
    total = sum(each.points for each in columns)
    shown.add_column(_("Total") + f"\n/{total:g}", justify="right")
    for learner in sorted({*marks, *refused}):
        row, name = marks.get(learner), Text(learner)  # not markup
        if row is None or learner in refused:
            shown.add_row(name, *["–"] * (len(shown.columns) - 1))
            continue
        waiting = any(each.score is None for each in row)
        taken = late.get(learner, 0.0)
        earned = points_in_words(sum(each.score or 0 for each in row) - taken)
        shown.add_row(
            name,
            *("·" if m.score is None else points_in_words(m.score) for m in row),
            *([f"−{points_in_words(taken)}" if taken else ""] if is_late else []),
            f"{earned} + ·" if waiting else earned,
        )
    if any(each.score is None for row in marks.values() for each in row):
        shown.caption = _("· waits for a person: open formgrader to read the answers.")
        shown.caption_justify = "left"
    return shown


def problems(
    outcomes: Mapping[str, Mapping[str, Outcome]], refused: Mapping[str, str]
) -> Table | None:
    """What went wrong for whom, one line a learner; None if nothing did."""
    shown = Table(title=_("What went wrong"), title_justify="left")
    shown.add_column(_("Learner"), no_wrap=True, overflow="ellipsis")
    shown.add_column(_("Exercises and why"))
    for learner in sorted({*outcomes, *refused}):
        text = refused.get(learner) or _why(outcomes.get(learner, {}))
        if text:
            shown.add_row(Text(learner), Text(text))
    return shown if shown.row_count else None


def _why(outcomes: Mapping[str, Outcome]) -> str:
    """Each reason once, with the exercises that it cost points."""
    reasons: dict[str, list[str]] = {}
    for number, outcome in outcomes.items():
        for message in {
            each.message: None for each in outcome.groups if not each.passed
        }:
            reasons.setdefault(message, []).append(number)
    return "\n".join(f"{', '.join(who)}: {why}" for why, who in reasons.items())
