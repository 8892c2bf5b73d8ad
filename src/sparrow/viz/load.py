"""What a class felt: how long the queue was, and how soon the first word came."""

from matplotlib.axes import Axes
from rich.table import Table

from sparrow.language import _
from sparrow.serve.bench import Report
from sparrow.viz.style import COLOURS, axes, conclude, label_ends

__all__ = ["load_table", "plot_load"]


def load_table(report: Report) -> Table:
    """Speed and waiting times, for a terminal."""
    table = Table("", "p50", "p95", "p99", box=None)
    rows = (
        (_("First word, s"), report.first_s),
        (_("Between two pieces, ms"), _in_ms(report.between_s)),
    )
    for name, values in rows:
        table.add_row(name, *(f"{each:,.2f}" for each in values.values()))
    table.caption = _(
        "{answered} of {asked} questions answered, {rate:,.0f} tokens/s",
        answered=len(report.good),
        asked=len(report.answers),
        rate=report.tokens_per_s,
    )
    return table


def _in_ms(values: dict[int, float]) -> dict[int, float]:
    return {name: 1000 * each for name, each in values.items()}


def plot_load(report: Report) -> Axes:
    """How many were served and how many waited, over time."""
    ax = axes()
    at = [each.at_s for each in report.samples]
    lines = (
        ([each.running for each in report.samples], _("served"), "blue"),
        ([each.waiting for each in report.samples], _("waiting"), "orange"),
    )
    for values, _name, colour in lines:
        ax.step(at, values, where="post", color=COLOURS[colour], linewidth=1.6)
    ax.set_xlabel(_("time, s"))
    ax.set_ylabel(_("requests"))
    ax.set_ylim(bottom=0)
    label_ends(
        ax, [(at[-1], each[-1], name, COLOURS[colour]) for each, name, colour in lines]
    )
    title = _(
        "{n} learners: half of them read the first word after {half:.2f} s, all but "
        "one in a hundred after {most:.2f} s",
        n=report.load.learners,
        half=report.first_s[50],
        most=report.first_s[99],
    )
    alt = _(
        "Requests that are served and that wait, over {s:.0f} s; {rate:,.0f} tokens/s.",
        s=at[-1],
        rate=report.tokens_per_s,
    )
    return conclude(ax, title, f"{title}. {alt}")
