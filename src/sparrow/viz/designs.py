"""Compare designs that were trained for equal seconds, and say what may be said."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sparrow.cost.measure import median_interval
from sparrow.evaluate.expert_runs import ExpertRun
from sparrow.evaluate.intervals import Interval
from sparrow.language import _
from sparrow.train.held_out import Scored
from sparrow.train.side_by_side import Trainee
from sparrow.viz.lab03 import interval_row
from sparrow.viz.style import COLOURS, axes, conclude
from sparrow.viz.tables import Table

__all__ = ["difference", "plot_designs", "race_table"]

ENOUGH = 6  # seeds: with fewer, no interval of a median reaches 95 %
MARKS = {"better": "blue", "worse": "orange", "open": "quiet"}


def race_table(
    trainees: Mapping[str, Trainee], scores: Mapping[str, Mapping[str, Scored]]
) -> Table:
    """What each model did in its seconds; one run, so no winner is named."""
    parts = list(next(iter(scores.values())))
    rows = [
        [
            name,
            f"{len(each.learned):,}",
            f"{each.tokens / each.seconds:,.0f}",
            *(f"{scores[name][part].bits_per_byte:.3f}" for part in parts),
        ]
        for name, each in trainees.items()
    ]
    seconds = next(iter(trainees.values())).seconds
    return Table(
        caption=_(
            "After {seconds:.0f} seconds of training each: bits for each byte of text "
            "that none of them has read. Less is better. One run tells little.",
            seconds=seconds,
        ),
        headers=[_("Model"), _("Steps"), _("Tokens a second"), *parts],
        rows=rows,
        numeric=frozenset(range(1, 3 + len(parts))),
    )


def difference(runs: Sequence[ExpertRun], design: str, other: str) -> Interval:
    """How many more bits a byte a design needs than another, seed by seed.

    The median over seeds, with an interval that needs no bell curve. From six seeds on
    it holds the true median with 95 %.
    """
    bits = {(each.design, each.seed): each.mean_bits_per_byte for each in runs}
    seeds = sorted({seed for _design, seed in bits})
    apart = [bits[design, seed] - bits[other, seed] for seed in seeds]
    middle = median_interval(apart)
    return Interval(middle.median, middle.low, middle.high, len(apart))


def plot_designs(
    runs: Sequence[ExpertRun], pairs: Mapping[str, tuple[str, str]]
) -> Axes:
    """What each change of the design brings, with intervals over seeds.

    Args:
        runs: of all designs, for the same seeds.
        pairs: for each change, by what to call it, the design with it and the one
            without.
    """
    found = {name: difference(runs, *pair) for name, pair in pairs.items()}
    ax = axes(height_in=1.5 + 0.5 * len(found))
    for row, apart in enumerate(reversed(found.values())):
        colour = COLOURS[MARKS[verdict(apart)]]
        interval_row(ax, row, apart, colour, f"{apart.estimate:+.3f}")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1)
    ax.set_yticks(range(len(found)), list(reversed(found)))
    ax.set_ylim(-0.5, len(found) - 0.3)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlabel(_("Change in bits a byte on held-out text (below 0 is better)"))
    kinds = {
        kind: ", ".join(each for each in found if verdict(found[each]) == kind)
        for kind in MARKS
    }
    said = {
        "better": _("Better: {names}", names=kinds["better"]),
        "worse": _("Worse: {names}", names=kinds["worse"]),
        "open": _("Cannot tell: {names}", names=kinds["open"]),
    }
    groups = [said[kind] for kind, names in kinds.items() if names]
    words = {
        "seconds": f"{runs[0].seconds:.0f}",
        "seeds": len({run.seed for run in runs}),
        "groups": ". ".join(groups),
    }
    bounds = "; ".join(
        f"{name} {apart.estimate:+.3f} ({apart.low:+.3f}, {apart.high:+.3f})"
        for name, apart in found.items()
    )
    return conclude(
        ax,
        _("{seconds} s of training, {seeds} seeds. {groups}", **words),
        _(
            "Changes in bits a byte, medians over {seeds} seeds with their intervals: "
            "{bounds}.",
            bounds=bounds,
            seeds=words["seeds"],
        ),
    )


def verdict(apart: Interval) -> str:
    """What may be said: better, worse, or nothing, as with too few seeds."""
    if apart.n < ENOUGH or apart.low <= 0 <= apart.high:
        return "open"
    return "better" if apart.high < 0 else "worse"
