"""Pictures of the board as SVG: lines that carry their own names, and no legend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from sparrow.language import _
from workshop.board.machine import Load
from workshop.board.view import View

__all__ = ["load_over_time", "passes_over_time"]

WIDTH, TALL, LOW = 520, 250, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 108, 12, 28
LEAST_GAP = 17  # between two names, in pixels
STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)
MOST_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One line with its name; points are (seconds since 1970, value)."""

    name: str
    points: Sequence[tuple[float, float]]
    css: str


def passes_over_time(view: View, zone: ZoneInfo) -> str:
    """How many learners have passed each exercise: one line each, in steps."""
    lines = []
    for place, (exercise, moments) in enumerate(view.passes.items()):
        if not moments:
            continue
        points = [(view.begun, float(sum(each <= view.begun for each in moments)))]
        for each in (moment for moment in moments if moment > view.begun):
            points += [(each, points[-1][1]), (each, points[-1][1] + 1)]
        points.append((view.at, points[-1][1]))
        name = f"{exercise}: {len(moments)}"
        lines.append(Line(name, points, f"line c{place % 8}"))
    most = max(len(view.rows), 1)
    about = _("How many learners have passed each exercise, over time.")
    span = (view.begun, view.at)
    return _chart(lines, span, most, zone, about, "{:.0f}".format, TALL)


def load_over_time(loads: Sequence[Load], zone: ZoneInfo) -> str:
    """Processors, memory and graphics cards in the last hour, in shares of the whole.

    `loads` holds one at least.
    """
    lines = [
        Line(_("processors"), [(each.at, each.cpu_frac) for each in loads], "line c1"),
        Line(_("memory"), [(each.at, each.memory_frac) for each in loads], "line c6"),
    ]
    if loads[-1].cards:
        used = [
            (each.at, max(card.used_frac for card in each.cards))
            for each in loads
            if each.cards
        ]
        lines.append(Line(_("graphics"), used, "line c3"))
    about = _("Shares of the processors and of the memory in use, in the last hour.")
    span = (loads[0].at, max(loads[-1].at, loads[0].at + 60))
    return _chart(lines, span, 1.0, zone, about, "{:.0%}".format, LOW)


def _chart(
    lines: Sequence[Line],
    span: tuple[float, float],
    most: float,
    zone: ZoneInfo,
    about: str,
    say: Callable[[float], str],
    height: int,
) -> str:
    """Axes, lines, and each line's name at its end."""
    begin, end = span
    end = max(end, begin + 60)

    def x(moment: float) -> float:
        at = (moment - begin) / (end - begin)
        return LEFT + min(max(at, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - value / most) * (height - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" direction="ltr">',
        f"<title>{escape(about)}</title>",
    ]
    for value in _values(most):
        at, word = y(value), escape(say(value))
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" '
            f'y2="{at:.1f}"/>',
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{word}</text>',
        ]
    for moment in _ticks(begin, end, zone):
        word = f"{datetime.fromtimestamp(moment, zone):%H:%M}"
        parts.append(
            f'<text x="{x(moment):.1f}" y="{height - 8}" text-anchor="middle">'
            f"{word}</text>"
        )
    heights = _apart([y(each.points[-1][1]) for each in lines], height - BOTTOM)
    for each, at in zip(lines, heights, strict=True):
        points = " ".join(f"{x(t):.1f},{y(value):.1f}" for t, value in each.points)
        parts += [
            f'<polyline class="{each.css}" points="{points}"/>',
            f'<text class="name {each.css}" x="{WIDTH - RIGHT + 8}" '
            f'y="{at + 4.5:.1f}">{escape(each.name)}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _values(most: float) -> list[float]:
    """A few round values of the upright axis."""
    if most == 1.0:
        return [0.0, 0.5, 1.0]
    step = next(each for each in (1, 2, 5, 10, 20, 50, 100, 500) if most / each <= 5)
    return [float(each) for each in range(0, int(most) + 1, step)]


def _ticks(begin: float, end: float, zone: ZoneInfo) -> list[float]:
    """Round moments by the course's clock."""
    minutes = (end - begin) / 60
    step = next((each for each in STEPS_MIN if minutes / each <= MOST_TICKS), 1440)
    first = datetime.fromtimestamp(begin, zone)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = int((first - midnight).total_seconds() // 60)
    moment = midnight + timedelta(minutes=passed - passed % step)
    found = []
    while moment.timestamp() <= end:
        if moment.timestamp() >= begin:
            found.append(moment.timestamp())
        moment += timedelta(minutes=step)
    return found[-MOST_TICKS - 1 :]


def _apart(heights: Sequence[float], lowest: float) -> list[float]:
    """Move names apart that would cover each other; their order stays."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    moved = list(heights)
    for above, place in zip([None, *order], order, strict=False):
        if above is not None:
            moved[place] = max(moved[place], moved[above] + LEAST_GAP)
    for below, place in zip([None, *order[::-1]], order[::-1], strict=False):
        most = lowest if below is None else moved[below] - LEAST_GAP
        moved[place] = min(moved[place], most)
    return moved
