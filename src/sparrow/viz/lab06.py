"""Pictures of lab 06: what is learned, how open choices are, and four figures."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from torch import Tensor

from sparrow.data.packing import IGNORED, Packed
from sparrow.evaluate.intervals import wilson_interval
from sparrow.language import _
from sparrow.rl import gate
from sparrow.rl.doses import Dose
from sparrow.rl.gate import Gate
from sparrow.viz.style import COLOURS, axes, conclude, label_right
from sparrow.viz.words import guessed

__all__ = [
    "plot_doses",
    "plot_gate",
    "plot_learned",
    "plot_openness",
    "plot_packed",
    "plot_solved",
]

LINE = 13  # pieces in a line
READ, LEARNED = "#D9E2EC", COLOURS["blue"]
WAY_COLOURS = {"answers": "blue", "everything": "orange", "few": "pink"}


def plot_learned(pieces: Sequence[str], learned: Tensor) -> Axes:
    """A conversation, piece by piece: what is learned is dark.

    Args:
        pieces: the text of each token.
        learned: True for the assistant's own.

    Shapes:
        learned: [T].
    """
    lines = -(-len(pieces) // LINE)
    ax = axes(height_in=0.7 + 0.42 * lines)
    for place, (piece, own) in enumerate(zip(pieces, learned.tolist(), strict=True)):
        row, column = divmod(place, LINE)
        ax.barh(
            row, 0.94, left=column, height=0.8, color=LEARNED if own else READ, zorder=1
        )
        ax.text(
            column + 0.47,
            row,
            piece.replace("\n", "↵").strip("<|>") or "␣",
            ha="center",
            va="center",
            size=7.5,
            color="white" if own else COLOURS["ink"],
            parse_math=False,
        )
    ax.set_xlim(0, LINE)
    ax.set_ylim(lines - 0.5, -0.6)
    ax.set_axis_off()
    count = int(learned.sum())
    title = _(
        "{learned} of {n} tokens are learned, the others are only read",
        learned=count,
        n=len(pieces),
    )
    own = "".join(
        piece for piece, is_own in zip(pieces, learned.tolist(), strict=True) if is_own
    )
    return conclude(
        ax, title, _("{title}. Learned is: {text}", title=title, text=repr(own))
    )


def plot_packed(packed: Packed, rows: int = 8) -> Axes:
    """The first rows of a packing: learned, read, and filled up with nothing."""
    shown = packed.rows(slice(0, rows))
    count, length = shown.tokens.shape
    ax = axes(height_in=1.1 + 0.3 * count)
    total = {"learned": 0, "read": 0, "filled": 0}
    for row in range(count):
        places = [0, *_borders(shown.document[row]), length]
        for first, last in pairwise(places):
            if last - first == 1:  # an empty document
                total["filled"] += 1
                continue
            learned = (shown.targets[row, first:last] != IGNORED).sum()
            begin = last - int(learned)
            ax.barh(row, begin - first, left=first, height=0.72, color=READ)
            ax.barh(row, last - begin - 0.5, left=begin, height=0.72, color=LEARNED)
            total["learned"] += last - begin
            total["read"] += begin - first
    ax.set_xlim(0, length)
    ax.set_ylim(count - 0.4, -0.6)
    ax.set_yticks(range(count), [_("row {n}", n=row) for row in range(count)])
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_("Place in the row (tokens)"))
    shares = {name: f"{each / (count * length):.0%}" for name, each in total.items()}
    title = _(
        "{learned} of the places are learned, {read} only read, {filled} left empty",
        **shares,
    )
    alt = _(
        "{title}. In each of {n} rows whole conversations follow each other: a light "
        "question, a dark answer. No row ends inside one.",
        title=title,
        n=count,
    )
    return conclude(ax, title, alt)


def _borders(document: Tensor) -> list[int]:
    """Where a new document begins, apart from place 0."""
    changes: list[int] = (document[1:] != document[:-1]).nonzero().flatten().tolist()
    return [place + 1 for place in changes]


def plot_openness(
    steps: Sequence[int], entropies: Sequence[float], floor: float
) -> Axes:
    """How open the choices are as imitation goes on.

    Args:
        steps: when it was looked at.
        entropies: nats a token of the assistant, on held-out traces.
        floor: where imitation must stop.
    """
    ax = axes(height_in=3.0)
    ax.plot(steps, entropies, "o-", color=COLOURS["blue"], linewidth=2, markersize=4)
    ax.axhline(floor, color=COLOURS["orange"], linestyle="--", linewidth=1.4)
    ax.set_ylim(0, 1.1 * max(entropies))
    _above(ax, steps[0], floor, _("the floor"), "orange")
    last = f"{entropies[-1]:.2f}"
    label_right(ax, steps[-1], entropies[-1], last, COLOURS["blue"])
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("Entropy (nats a token)"))
    words = {
        "first": f"{entropies[0]:.2f}",
        "last": last,
        "floor": f"{floor:g}",
        "begin": steps[0],
        "end": steps[-1],
    }
    if entropies[-1] > floor:
        title = _("Choices close from {first} to {last} nats, above the floor", **words)
    else:
        title = _(
            "Choices close from {first} to {last} nats: the floor is met", **words
        )
    alt = _(
        "{title}. A line that falls from {first} nats a token at step {begin} to "
        "{last} at step {end}; the floor is at {floor}.",
        title=title,
        **words,
    )
    return conclude(ax, title, alt)


def _above(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """A word at the beginning of a level line, above it."""
    ax.annotate(
        text,
        (x, y),
        xytext=(0, 4),
        textcoords="offset points",
        color=COLOURS[colour],
    )


def plot_solved(
    solved: Mapping[int, Sequence[bool]], guess_of_100: object = None
) -> Axes:
    """How many held-out problems the first answer solves, as imitation goes on.

    Args:
        solved: of each problem, whether it is solved; by step.
        guess_of_100: the learner's guess; anything that is no number is left out.
    """
    steps = sorted(solved)
    found = [
        wilson_interval(sum(map(bool, solved[step])), len(solved[step]))
        for step in steps
    ]
    ax = axes(height_in=3.0)
    middle = [each.estimate for each in found]
    low, high = [each.low for each in found], [each.high for each in found]
    ax.fill_between(steps, low, high, color=COLOURS["sky"], alpha=0.35, linewidth=0)
    ax.plot(steps, middle, "o-", color=COLOURS["blue"], linewidth=2, markersize=5)
    label_right(ax, steps[-1], middle[-1], f"{middle[-1]:.0%}", COLOURS["blue"])
    guess = guessed(guess_of_100)
    if guess is not None and guess <= 100:
        ax.axhline(guess / 100, color=COLOURS["green"], linestyle="--", linewidth=1.2)
        _above(ax, steps[0], guess / 100, _("your guess"), "green")
    ax.set_ylim(0, max(0.5, 1.15 * max(high)))
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("Solved (95 % interval)"))
    words = {
        "first": f"{middle[0]:.0%}",
        "last": f"{middle[-1]:.0%}",
        "low": f"{low[-1]:.0%}",
        "high": f"{high[-1]:.0%}",
        "n": found[-1].n,
        "steps": steps[-1],
    }
    title = _("Imitation: from {first} to {last} solved in {steps} steps", **words)
    alt = _(
        "{title}, on {n} problems that were never imitated; the last interval goes "
        "from {low} to {high}.",
        title=title,
        **words,
    )
    return conclude(ax, title, alt)


def plot_doses(doses: Mapping[str, Sequence[Dose]], names: Mapping[str, str]) -> Axes:
    """One answer and eight answers, as imitation goes on, for several ways to imitate.

    Args:
        doses: the looks of each way, by step.
        names: what to call each way in the picture.
    """
    ax = axes(height_in=3.6)
    said, labels = [], []
    for way, looks in doses.items():
        colour = COLOURS[WAY_COLOURS[way]]
        steps = [each.step for each in looks]
        one, eight = ([getattr(each, f"pass{k}") for each in looks] for k in (1, 8))
        ax.plot(steps, eight, "o-", color=colour, linewidth=2, markersize=4)
        ax.plot(steps, one, "o--", color=colour, linewidth=1.4, markersize=3)
        labels += [(eight[-1], f"{names[way]} @8"), (one[-1], f"{names[way]} @1")]
        spread = wilson_interval(round(eight[-1] * looks[-1].groups), looks[-1].groups)
        said.append(
            _(
                "{name}: pass@1 {one:.2f} and pass@8 {eight:.2f} ({low:.2f} to "
                "{high:.2f}, {n} problems) after {step} steps, entropy {entropy:.2f}",
                name=names[way],
                one=one[-1],
                eight=eight[-1],
                low=spread.low,
                high=spread.high,
                n=looks[-1].groups,
                step=steps[-1],
                entropy=looks[-1].entropy,
            )
        )
    colours = [COLOURS[WAY_COLOURS[way]] for way in doses for _line in range(2)]
    last = max(looks[-1].step for looks in doses.values())
    for (_height, text), colour, place in zip(
        labels, colours, _apart([height for height, _text in labels]), strict=True
    ):
        label_right(ax, last, place, text, colour)
    ax.set_ylim(0, 1)
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("pass@1 (dashed) and pass@8"))
    ends = {way: looks[-1] for way, looks in doses.items()}
    best = max(ends, key=lambda way: ends[way].pass8)
    worst = min(ends, key=lambda way: ends[way].pass8)
    title = _(
        "Eight answers find most with: {best} ({high:.0%}); least with: {worst} "
        "({low:.0%})",
        best=names[best],
        worst=names[worst],
        high=ends[best].pass8,
        low=ends[worst].pass8,
    )
    return conclude(ax, title, _("{title}. {each}.", title=title, each="; ".join(said)))


def _apart(heights: Sequence[float], gap: float = 0.06) -> list[float]:
    """The same heights, moved up where two labels would lie on each other."""
    placed: dict[int, float] = {}
    above = -1.0
    for place in sorted(range(len(heights)), key=lambda each: heights[each]):
        above = max(heights[place], above + gap)
        placed[place] = above
    return [placed[place] for place in range(len(heights))]


def plot_gate(found: Gate) -> Axes:
    """The four figures of the gate, each on the stretch where it is admitted."""
    one, eight = found.pass1, found.pass8
    rows = [
        (_("pass@1"), one.estimate, (one.low, one.high), (gate.LOW, gate.HIGH)),
        (
            _("pass@8"),
            eight.estimate,
            (eight.low, eight.high),
            (min(one.estimate + gate.GAIN, 1), 1),
        ),
        (_("entropy (nats)"), found.entropy, None, (gate.ENTROPY_FLOOR, 1)),
        (_("groups all alike"), found.degenerate_frac, None, (0, gate.DEGENERATE)),
    ]
    ax = axes(height_in=2.9)
    for row, (_name, value, interval, (low, high)) in enumerate(rows):
        ax.barh(row, 1, height=0.5, color="#EEEEEE", zorder=0)
        ax.barh(row, high - low, left=low, height=0.5, color="#BFE3D6", zorder=1)
        is_in = low <= value <= high
        colour = COLOURS["green" if is_in else "orange"]
        if interval is not None:
            ax.plot(interval, [row, row], color=colour, linewidth=3, zorder=2)
        ax.plot(min(value, 1), row, "o", color=colour, markersize=10, zorder=3)
        mark = "✓" if is_in else "✗"
        label_right(ax, 1, row, f"{value:.2f} {mark}", colour)
    ax.set_yticks(range(len(rows)), [name for name, *_rest in rows])
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlim(0, 1)
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.set_xlabel(_("Shares of 1, and nats a token; admitted where it is green"))
    title = (
        _("The gate is open: reward has something to work with")
        if found.is_open
        else _("The gate is shut: {n} of 4 figures stand outside", n=_shut(rows))
    )
    told = "; ".join(
        _(
            "{name} {value:.2f}, admitted from {low:.2f} to {high:.2f}",
            name=name,
            value=value,
            low=low,
            high=high,
        )
        for name, value, _interval, (low, high) in rows
    )
    return conclude(ax, title, _("{title}. {told}.", title=title, told=told))


def _shut(
    rows: Sequence[tuple[str, float, tuple[float, float] | None, tuple[float, float]]],
) -> int:
    """How many figures stand outside of their stretch."""
    return sum(not low <= value <= high for _n, value, _i, (low, high) in rows)
