"""Draw who is chosen for each token, before the bias and after."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, write

__all__ = ["plot_chosen"]

GAP = 2.4


def plot_chosen(
    scores: Sequence[Sequence[float]], bias: Sequence[float], chosen: int
) -> Axes:
    """The same scores twice; coloured boxes are the experts that work on a token.

    Args:
        scores: one row a token, one number an expert.
        bias: of each expert, used on the right.
        chosen: experts a token.
    """
    tokens, experts = len(scores), len(bias)
    ax = axes(height_in=1.2 + 0.42 * (tokens + 3))
    ax.set_axis_off()
    ax.set_aspect("equal")
    busiest = []
    for left, push, name in (
        (0.0, [0.0] * experts, _("By score alone")),
        (experts + GAP, bias, _("By score plus bias")),
    ):
        loads = [0] * experts
        write(ax, left + experts / 2, tokens + 1.6, name, weight="bold")
        for column in range(experts):
            letter = chr(ord("A") + column)
            write(ax, left + column + 0.5, tokens + 0.9, letter, size=9)
            if any(push):
                pushed_by = f"{push[column]:+.2f}"
                write(ax, left + column + 0.5, tokens + 0.4, pushed_by, size=9)
        for row, values in enumerate(scores):
            pushed = [score + each for score, each in zip(values, push, strict=True)]
            best = sorted(range(experts), key=lambda at: -pushed[at])[:chosen]
            floor = tokens - 1 - row
            for column, score in enumerate(values):
                is_chosen = column in best
                loads[column] += is_chosen
                _box(ax, left + column, floor, is_chosen)
                write(ax, left + column + 0.5, floor + 0.5, f"{score:.1f}")
        for column, load in enumerate(loads):
            is_much = load * experts > tokens * chosen
            colour = COLOURS["orange" if is_much else "ink"]
            write(ax, left + column + 0.5, -0.55, str(load), color=colour)
        busiest.append(max(loads))
    write(ax, -0.25, -0.55, _("tokens"), ha="right", color=COLOURS["quiet"])
    ax.set_xlim(-1.9, 2 * experts + GAP + 0.1)
    ax.set_ylim(-1.0, tokens + 2.0)
    words = {
        "before": busiest[0],
        "after": busiest[1],
        "fair": f"{tokens * chosen / experts:g}",
    }
    return conclude(
        ax,
        _(
            "The busiest expert had {before} tokens and has {after} now; a fair share "
            "is {fair}. No score has changed",
            **words,
        ),
        _(
            "Two tables with the same scores of {tokens} tokens for {experts} experts. "
            "By score alone the busiest expert is chosen for {before} tokens, with the "
            "bias for {after}; a fair share is {fair}.",
            tokens=tokens,
            experts=experts,
            **words,
        ),
    )


def _box(ax: Axes, left: float, floor: float, is_chosen: bool) -> None:
    face = COLOURS["sky"] if is_chosen else "white"
    ax.add_patch(
        Rectangle((left, floor), 1, 1, facecolor=face, edgecolor=COLOURS["quiet"])
    )
