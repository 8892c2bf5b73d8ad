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

__all__ = ["differences", "plot_designs", "race_table"]


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


def differences(runs: Sequence[ExpertRun], than: str) -> dict[str, Interval]:
    """How many more bits a byte each design needs than one of them, seed by seed.

    The median over seeds, with an interval that needs no bell curve. From six seeds on
    it holds the true median with 95 %.
    """
    bits = {(each.design, each.seed): each.mean_bits_per_byte for each in runs}
    seeds = sorted({seed for _design, seed in bits})
    found = {}
    for design in dict.fromkeys(each.design for each in runs):
        if design == than:
            continue
        apart = [bits[design, seed] - bits[than, seed] for seed in seeds]
        middle = median_interval(apart)
        found[design] = Interval(middle.median, middle.low, middle.high, len(apart))
    return found


def plot_designs(
    runs: Sequence[ExpertRun], than: str, names: Mapping[str, str]
) -> Axes:
    """Each design against one of them, with intervals over seeds.

    Args:
        runs: of all designs, for the same seeds.
        than: the design that the others are compared with.
        names: what to call each design; those without a name are left out.
    """
    found = {
        names[design]: apart
        for design, apart in differences(runs, than).items()
        if design in names
    }
    ax = axes(height_in=1.5 + 0.5 * len(found))
    for row, (_name, apart) in enumerate(reversed(found.items())):
        colour = COLOURS["quiet"]
        if apart.low > 0 or apart.high < 0:
            colour = COLOURS["orange" if apart.low > 0 else "blue"]
        interval_row(ax, row, apart, colour, f"{apart.estimate:+.3f}")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1)
    ax.annotate(
        names[than],
        (0, len(found) - 0.4),
        ha="center",
        va="bottom",
        annotation_clip=False,
    )
    ax.set_yticks(range(len(found)), list(reversed(found)))
    ax.set_ylim(-0.5, len(found) - 0.4)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlabel(_("Bits a byte more than {than} (less is better)", than=names[than]))
    each = "; ".join(f"{name}: {verdict(apart)}" for name, apart in found.items())
    seconds, seeds = runs[0].seconds, len({run.seed for run in runs})
    title = _(
        "After {seconds:.0f} s, against {than}: {each}",
        seconds=seconds,
        than=names[than],
        each=each,
    )
    bounds = "; ".join(
        f"{name} {apart.estimate:+.3f} ({apart.low:+.3f}, {apart.high:+.3f})"
        for name, apart in found.items()
    )
    return conclude(
        ax,
        title,
        _(
            "Differences in bits a byte to {than}, medians over {seeds} seeds with "
            "their intervals: {bounds}.",
            than=names[than],
            seeds=seeds,
            bounds=bounds,
        ),
    )


def verdict(apart: Interval) -> str:
    """What may be said: better, worse, or nothing."""
    if apart.high < 0:
        return _("better")
    return _("worse") if apart.low > 0 else _("no difference shown")
