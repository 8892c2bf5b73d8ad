"""The pictures of lab 09: grids on real weights, outputs, and what bits buy."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from sparrow.evaluate.quantized_runs import QuantizedRun
from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, label_right
from sparrow.viz.words import guessed

__all__ = ["plot_claim", "plot_errors", "plot_grids", "plot_pareto", "smallest_same"]

TICK = 0.3
NOISE = 0.75  # equal work was measured so far apart
EVEN = 0.2  # percent: below, the axis is even; above, it goes by tens
LINE_POINTS = 12
POINTS_PER_PIXEL = 0.72  # a picture has 100 dots an inch until it is drawn


def plot_grids(weights: Tensor, grids: Mapping[str, tuple[Tensor, Tensor]]) -> Axes:
    """Real weights, and below them the values that each grid can say.

    Args:
        weights: neighbours in a row of a matrix.
        grids: by a name: the values of the grid, and the weights rounded to it.

    Shapes:
        weights: [K]; grids: [C] and [K] each.
    """
    ax = axes(height_in=1.6 + 0.7 * len(grids))
    top = len(grids)
    ax.plot(weights, torch.full_like(weights, top), "|", color=COLOURS["ink"], ms=16)
    names, said = [_("the weights")], []
    for row, (name, (values, rounded)) in enumerate(grids.items()):
        height = top - 1 - row
        places = torch.full_like(values, height)
        ax.plot(values, places, "|", color=COLOURS["blue"], ms=16, alpha=0.6)
        lost = float((rounded - weights).abs().mean() / weights.abs().mean())
        names.append(name)
        said.append(_("{name}: {lost:.1%}", name=name, lost=lost))
    ax.set_yticks([top - row for row in range(top + 1)], names)
    ax.set_ylim(-0.6, top + 0.6)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlabel(_("Value"))
    title = _("Lost of a weight's size: {errors}", errors="; ".join(said))
    alt = _(
        "{n} weights as short lines; below, the values of each grid. {title}.",
        n=len(weights),
        title=title,
    )
    return conclude(ax, title, alt)


def plot_errors(found: Mapping[str, Sequence[float]], least: str) -> Axes:
    """The error of outputs, matrix by matrix, as a part of what rounding gives.

    Args:
        found: by a method's name: one ratio for each matrix.
        least: the method that the title is about.
    """
    ax = axes(height_in=1.3 + 0.6 * len(found))
    draw = torch.Generator().manual_seed(0)
    for row, (name, ratios) in enumerate(list(found.items())[::-1]):
        shift = (torch.rand(len(ratios), generator=draw) - 0.5) * TICK
        colour = "blue" if name == least else "orange"
        ax.plot(ratios, row + shift, "o", color=COLOURS[colour], alpha=0.5, ms=5)
        middle = float(torch.tensor(ratios).median())
        ax.plot([middle] * 2, [row - TICK, row + TICK], color=COLOURS["ink"])
    ax.axvline(1, color=COLOURS["quiet"], linestyle="--", zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda part, _place: f"{part:g}")
    ax.set_yticks(range(len(found)), list(found)[::-1])
    ax.set_ylim(-0.6, len(found) - 0.4)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlabel(_("Squared error of the outputs, rounding to the nearest is 1"))
    middle = float(torch.tensor(found[least]).median())
    title = _(
        "{name} leaves {part:.0%} of the error in the middle of {n} matrices, "
        "and is worse in {worse}",
        name=least,
        part=middle,
        n=len(found[least]),
        worse=sum(each > 1 for each in found[least]),
    )
    told = "; ".join(
        _("{name} {low:.2f} to {high:.2f}", name=name, low=min(each), high=max(each))
        for name, each in found.items()
    )
    return conclude(ax, title, _("{title}. Ratios: {told}.", title=title, told=told))


def smallest_same(runs: Sequence[QuantizedRun]) -> QuantizedRun | None:
    """The smallest that cannot be told from the original; None: all can be."""
    same = [each for each in runs if not each.is_original and not each.row.differs]
    return min(same, key=lambda each: each.row.bytes) if same else None


def is_beaten(run: QuantizedRun, others: Sequence[QuantizedRun]) -> bool:
    """Whether another is as small, as good and as fast, and smaller or better."""

    def marks(each: QuantizedRun) -> tuple[int, float]:
        return each.row.bytes, _change_of(each)

    return any(
        marks(each) != marks(run)
        and all(a <= b for a, b in zip(marks(each), marks(run), strict=True))
        and each.tokens_per_s >= NOISE * run.tokens_per_s
        for each in others
    )


def _change_of(run: QuantizedRun) -> float:
    return 0.0 if run.is_original else run.row.perplexity_change.estimate


def plot_pareto(runs: Sequence[QuantizedRun]) -> Axes:
    """Size, what is lost, and speed: who is beaten by nobody?

    Args:
        runs: of one model; the original among them.
    """
    ax = axes(height_in=4.2)
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=EVEN)
    said = []
    for run in runs:
        change, size = run.row.perplexity_change, run.row.bytes / 1e6
        colour, y = _colour_of(run), 100 * _change_of(run)
        told = f"{_speed_of(run)}: {size:.1f} MB"
        if not run.is_original:
            ends = [[y - 100 * change.low], [100 * change.high - y]]
            ax.errorbar(size, y, yerr=ends, color=colour, capsize=3, zorder=2)
            told += f", {100 * change.low:+.2f} … {100 * change.high:+.2f} %"
        is_open = is_beaten(run, runs)
        ax.plot(
            size,
            y,
            "o",
            color=colour,
            markerfacecolor="white" if is_open else colour,
            ms=9,
            zorder=3 if is_open else 4,
        )
        said.append(told)
    sizes = [run.row.bytes / 1e6 for run in runs]
    ax.set_xlim(0.8 * min(sizes), 2.2 * max(sizes))
    ax.axhline(0, color=COLOURS["quiet"], linestyle="--", zorder=0)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _place: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda _value, _place: "")
    ax.set_xlabel(
        _(
            "Size in MB. Beside each: tokens a second, one reader, one thread,\n"
            "{measured}",
            measured=runs[0].measured,
        )
    )
    n = runs[0].row.perplexity_change.n
    ax.set_ylabel(_("Change of perplexity, %\n(paired 95 %, n = {n})", n=n))
    _name_each(ax, runs)
    model, best = runs[0].model, smallest_same(runs)
    if best is None:
        title = _("{model}: all can be told from fp32", model=model)
    else:
        title = _(
            "{model}: {scheme} cannot be told from fp32, at {bits:.1f} bits a weight",
            model=model,
            scheme=best.row.scheme,
            bits=best.row.bits_a_weight,
        )
    alt = _("{title}. Size and change: {told}.", title=title, told="; ".join(said))
    return conclude(ax, title, alt)


def _colour_of(run: QuantizedRun) -> str:
    return COLOURS["orange" if run.row.differs and not run.is_original else "blue"]


def _speed_of(run: QuantizedRun) -> str:
    return _("{scheme}, {speed:,.0f}/s", scheme=run.row.scheme, speed=run.tokens_per_s)


def _name_each(ax: Axes, runs: Sequence[QuantizedRun]) -> None:
    """A label beside each dot, a line higher where another one stands."""
    placed: list[tuple[float, float]] = []
    for run in sorted(runs, key=_change_of):
        size, y = run.row.bytes / 1e6, 100 * _change_of(run)
        height = at = float(ax.transData.transform((size, y))[1]) * POINTS_PER_PIXEL
        if run.is_original:
            at += LINE_POINTS  # off the line of no change
        for other, above in placed:
            if 0.6 < size / other < 1.7:
                at = max(at, above + LINE_POINTS)
        placed.append((size, at))
        ax.annotate(
            _speed_of(run),
            (size, y),
            xytext=(9, at - height),
            textcoords="offset points",
            va="center",
            color=_colour_of(run),
            fontsize=9.5,
        )


def plot_claim(
    runs: Sequence[QuantizedRun],
    claim: Mapping[str, float | None],
    guess_of_100: object = None,
) -> Axes:
    """Right answers: the original, the recorded ones, and the learner's.

    Args:
        runs: of the same model.
        claim: the learner's: `bits`, and `right`, `right_low` and `right_high` as
            shares; left out while one of them is missing.
        guess_of_100: of 100 that were right, how many stay so in int4; anything that
            is no such number is left out.
    """
    ax = axes(height_in=1.5 + 0.5 * (len(runs) + 1))
    own = {name: each for name, each in claim.items() if each is not None}
    is_claimed = {"bits", "right", "right_low", "right_high"} <= own.keys()
    rows = []
    if is_claimed:
        ends = own["right_low"], own["right_high"]
        rows.append((_("yours"), own["right"], *ends, "green"))
    for run in runs:
        change = run.row.accuracy_change
        if run.is_original or change is None:
            continue
        colour = "blue" if change.low <= 0 <= change.high else "orange"
        rows.append((run.row.scheme, change.estimate, change.low, change.high, colour))
    for row, (_name, middle, low, high, colour) in enumerate(rows):
        ax.plot([100 * low, 100 * high], [row, row], color=COLOURS[colour], linewidth=2)
        ax.plot(100 * middle, row, "o", color=COLOURS[colour], ms=8)
        label_right(ax, 100 * high, row, f"{100 * middle:+.1f}", COLOURS[colour])
    guess = guessed(guess_of_100)
    share = runs[0].row.accuracy
    if guess is not None and guess <= 100 and share is not None:
        lost = share.estimate * (guess - 100)
        ax.plot(lost, len(rows) - 0.3, "v", color=COLOURS["quiet"], ms=8)
        label_right(ax, lost, len(rows) - 0.3, _("your guess"), COLOURS["quiet"])
    ax.axvline(0, color=COLOURS["quiet"], linestyle="--", zorder=0)
    ax.set_yticks(range(len(rows)), [each[0] for each in rows])
    ax.set_ylim(-0.6, len(rows))
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    n = runs[-1].row.perplexity_change.n
    ax.set_xlabel(_("Change of right answers, points (paired 95 %, n = {n})", n=n))
    title = _("There is no claim of yours yet")
    if is_claimed:
        title = _(
            "Your model: {bits:.2f} bits a weight, {right:+.1f} points of right "
            "answers ({low:+.1f} to {high:+.1f})",
            bits=own["bits"],
            right=100 * own["right"],
            low=100 * own["right_low"],
            high=100 * own["right_high"],
        )
    told = "; ".join(
        f"{name} {100 * middle:+.1f} ({100 * low:+.1f}, {100 * high:+.1f})"
        for name, middle, low, high, _colour in rows
    )
    return conclude(ax, title, _("{title}. All: {told}.", title=title, told=told))
