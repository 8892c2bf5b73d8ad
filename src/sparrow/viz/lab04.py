"""Pictures of lab 04: full rows, a schedule, a run that was killed, and three seeds."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from torch import Tensor

from sparrow.data.packing import IGNORED, Packed
from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, label_right
from sparrow.viz.words import number

__all__ = ["plot_lives", "plot_mask", "plot_rates", "plot_rows", "plot_seeds"]

DOCUMENTS = [COLOURS[name] for name in ("blue", "orange", "green", "pink", "sky")]
Life = tuple[int, Sequence[float]]


def plot_rows(packed: Packed, names: Sequence[str]) -> Axes:
    """Every place of the rows, in the colour of its document, with its token.

    Args:
        packed: rows to show; few and short.
        names: the text of each token id that occurs.
    """
    rows, length = packed.tokens.shape
    ax = axes(height_in=0.9 + 0.45 * rows)
    real = int(packed.document[packed.targets != IGNORED].max()) + 1
    for row in range(rows):
        for place in range(length):
            document = int(packed.document[row, place])
            colour = DOCUMENTS[document % len(DOCUMENTS)]
            is_filling = document >= real
            ax.barh(
                row,
                0.94,
                left=place - 0.47,
                height=0.8,
                color="white" if is_filling else colour,
                edgecolor=COLOURS["quiet"] if is_filling else colour,
            )
            ax.text(
                place,
                row,
                names[int(packed.tokens[row, place])],
                ha="center",
                va="center",
                color=COLOURS["quiet"] if is_filling else "white",
            )
    ax.set_yticks(range(rows), [_("row {n}", n=row) for row in range(rows)])
    ax.set_xticks(range(length))
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xlabel(_("Place in the row"))
    filled = int((packed.document < real).sum())
    words = {"documents": real, "filled": filled, "places": rows * length}
    title = _("{documents} documents fill {filled} of {places} places", **words)
    return conclude(
        ax,
        title,
        _(
            "{title}. Each document has its own colour; some go over the cut.",
            title=title,
        ),
    )


def plot_mask(mask: Tensor, document: Tensor) -> Axes:
    """Which key each query may look at, in one row.

    Shapes:
        mask: [T, T]; document: [T].
    """
    tokens = len(document)
    ax = axes(width_in=3.9, height_in=3.9)
    for query, key in mask.nonzero().tolist():
        colour = DOCUMENTS[int(document[query]) % len(DOCUMENTS)]
        ax.barh(query, 0.9, left=key - 0.45, height=0.9, color=colour)
    ax.set_xlim(-0.6, tokens - 0.4)
    ax.set_ylim(tokens - 0.4, -0.6)
    ax.set_aspect("equal")
    ax.set_xticks(range(tokens))
    ax.set_yticks(range(tokens))
    ax.set_xlabel(_("may look at place"))
    ax.set_ylabel(_("place"))
    seen, all_earlier = int(mask.sum()), tokens * (tokens + 1) // 2
    title = _("{seen} of {n} pairs are\ninside one document", seen=seen, n=all_earlier)
    return conclude(ax, title, _("{title}. A triangle for each document.", title=title))


def plot_rates(rates: Sequence[float]) -> Axes:
    """The learning rate of every step."""
    ax = axes(height_in=2.7)
    ax.plot(range(len(rates)), rates, color=COLOURS["blue"], linewidth=2)
    ax.set_ylim(0, max(rates) * 1.1)
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("Learning rate"))
    peak = max(rates)
    level = [step for step, rate in enumerate(rates) if rate == peak]
    words = {
        "first": level[0] if level else 0,
        "last": level[-1] if level else 0,
        "peak": number(peak),
        "end": number(rates[-1]),
    }
    return conclude(
        ax,
        _("Level at {peak} from step {first} to {last}, then down to {end}", **words),
        _(
            "A line that rises to {peak} at step {first}, stays until step {last}, and "
            "falls to {end}.",
            **words,
        ),
    )


def plot_lives(alone: Sequence[float], lives: Sequence[Life]) -> Axes:
    """A run that was killed, life after life, over one that was not.

    Args:
        alone: the losses of the uninterrupted run, from step 1.
        lives: the first step of each life, and its losses until it ended.
    """
    ax = axes(height_in=4.0)
    steps = range(1, len(alone) + 1)
    ax.plot(steps, alone, color="#D0D0D0", linewidth=7, solid_capstyle="round")
    top, gap = max(alone), (max(alone) - min(alone)) / 7
    for place, (first, told) in enumerate(lives):
        if not told:  # killed before its first step
            continue
        colour, last = DOCUMENTS[place % len(DOCUMENTS)], first + len(told) - 1
        ax.plot(range(first, last + 1), told, color=colour, linewidth=1.8)
        # above: when each life was, so that steps which were done twice can be seen
        height = top + gap * (len(lives) - place)
        ax.plot([first, last], [height, height], color=colour, linewidth=5)
        if place < len(lives) - 1:
            ax.plot(last, told[-1], "x", color=colour, markersize=10, markeredgewidth=3)
            label_right(ax, last, height, _("killed after {n}", n=last), colour)
    label_right(ax, len(alone), alone[-1], _("uninterrupted"), COLOURS["quiet"])
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("Loss (nats a token)"))
    same = _equal_steps(alone, lives)
    again = sum(len(told) for _first, told in lives) - len(alone)
    words = {
        "kills": len(lives) - 1,
        "again": max(again, 0),
        "same": same,
        "all": len(alone),
    }
    if same == len(alone):
        title = _(
            "Killed {kills} times, {again} steps computed again: all {all} losses are "
            "equal to the last bit",
            **words,
        )
    else:
        title = _(
            "Killed {kills} times: {same} of {all} losses are equal to the last bit",
            **words,
        )
    alt = _(
        "{title}. A wide grey line is the uninterrupted run; a coloured line for each "
        "life of the other one lies on it, with a cross where it was killed. Bars "
        "above show from which step to which each life went.",
        title=title,
    )
    return conclude(ax, title, alt)


def _equal_steps(alone: Sequence[float], lives: Sequence[Life]) -> int:
    """How many steps every life that reached them computed to the same bits."""
    told: dict[int, set[float]] = {}
    for first, losses in lives:
        for step, loss in enumerate(losses, start=first):
            told.setdefault(step, set()).add(loss)
    return sum(told.get(step) == {loss} for step, loss in enumerate(alone, start=1))


def plot_seeds(bits: Sequence[float], mean: float, low: float, high: float) -> Axes:
    """Bits per byte of each seed, and the interval of their mean."""
    ax = axes(height_in=1.9)
    ax.plot([low, high], [0, 0], color=COLOURS["blue"], linewidth=4)
    ax.plot(mean, 0, "o", color=COLOURS["blue"], markersize=10)
    ax.plot(bits, [1] * len(bits), "o", color=COLOURS["orange"], markersize=8)
    ax.set_yticks([0, 1], [_("mean and 95 % interval"), _("one seed each")])
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(-0.7, 1.7)
    ax.set_xlabel(_("Bits per byte of held-out text (lower is better)"))
    words = {
        "mean": f"{mean:.2f}",
        "low": f"{low:.2f}",
        "high": f"{high:.2f}",
        "n": len(bits),
        "each": ", ".join(f"{each:.3f}" for each in bits),
    }
    return conclude(
        ax,
        _("{mean} bits a byte; {n} seeds say: between {low} and {high}", **words),
        _(
            "Dots for {n} seeds: {each}. Their mean is {mean}, its 95 % interval from "
            "{low} to {high}.",
            **words,
        ),
    )
