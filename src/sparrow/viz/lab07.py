"""The pictures of lab 07: what reward did to answers, and whether it is a gain."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sparrow.evaluate.intervals import Interval, wilson_interval
from sparrow.language import _
from sparrow.viz.lab03 import interval_row
from sparrow.viz.style import COLOURS, axes, conclude, label_ends
from sparrow.viz.training import plot_running_mean
from sparrow.viz.words import guessed

__all__ = [
    "plot_backtracks",
    "plot_gains",
    "plot_lengths",
    "plot_solved",
]

RUN_COLOURS = ("blue", "orange", "green", "pink", "sky")
LAST = 0.1  # the part of the steps that the end of a curve is about


def plot_lengths(runs: Mapping[str, Sequence[float]]) -> Axes:
    """How long answers are along training, one line a run.

    Args:
        runs: the mean length of every step's answers, in tokens.
    """
    ax = axes(height_in=3.2)
    ends, labels = {}, []
    for (name, values), colour in zip(runs.items(), RUN_COLOURS, strict=False):
        steps = range(1, len(values) + 1)
        mean = plot_running_mean(ax, steps, values, colour=colour)
        labels.append((len(values), mean[-1], name, COLOURS[colour]))
        ends[name] = (settled(values, first=True), settled(values))
    label_ends(ax, labels)
    ax.set_xlim(left=0)
    ax.set_xlabel(_("Step of reinforcement learning"))
    ax.set_ylabel(_("Length of an answer (tokens)"))
    told = "; ".join(
        _("{name}: from {first:.0f} to {last:.0f}", name=name, first=first, last=last)
        for name, (first, last) in ends.items()
    )
    title = _("Tokens an answer, first and last steps: {each}", each=told)
    return conclude(ax, title, _("Length by step. {title}.", title=title))


def settled(values: Sequence[float], first: bool = False) -> float:
    """The mean of the last tenth of the steps, or of the first."""
    count = max(1, round(LAST * len(values)))
    kept = values[:count] if first else values[-count:]
    return sum(kept) / len(kept)


def plot_solved(
    before: Sequence[bool],
    after: Sequence[bool],
    gain: Interval,
    guess_of_100: object = None,
) -> Axes:
    """How many held-out problems are solved before and after, and the paired gain.

    Args:
        before: of each problem, whether the first answer was right.
        after: the same problems in the same order.
        gain: the mean of after - before, with its interval.
        guess_of_100: the learner's guess of problems solved of 100; anything that is
            no such number is left out.
    """
    rows = {
        _("after"): wilson_interval(sum(map(bool, after)), len(after)),
        _("before"): wilson_interval(sum(map(bool, before)), len(before)),
    }
    ax = axes(height_in=2.2)
    for row, (colour, each) in enumerate(
        zip(("blue", "quiet"), rows.values(), strict=True)
    ):
        interval_row(ax, row, each, COLOURS[colour], f"{each.estimate:.0%}")
    guess = guessed(guess_of_100)
    if guess is not None and guess <= 100:
        ax.axvline(guess / 100, color=COLOURS["green"], linestyle="--", zorder=0)
        ax.annotate(
            _("your guess"),
            (guess / 100, -0.45),
            xytext=(4, 0),
            textcoords="offset points",
            color=COLOURS["green"],
        )
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(-0.6, 1.7)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Held-out problems solved at the first answer (95 % interval)"))
    words = {
        "gain": f"{100 * gain.estimate:+.0f}",
        "low": f"{100 * gain.low:+.0f}",
        "high": f"{100 * gain.high:+.0f}",
        "n": gain.n,
        "before": f"{rows[_('before')].estimate:.0%}",
        "after": f"{rows[_('after')].estimate:.0%}",
    }
    if gain.low > 0:
        title = _("Reward alone: {gain} points, between {low} and {high}", **words)
    elif gain.high < 0:
        title = _("It became worse: {gain} points, between {low} and {high}", **words)
    else:
        title = _("No gain can be told: between {low} and {high} points", **words)
    alt = _(
        "{title}, on {n} problems: {before} are solved before, {after} after.",
        title=title,
        **words,
    )
    return conclude(ax, title, alt)


def plot_gains(gains: Mapping[str, Interval]) -> Axes:
    """The paired gain of several runs: seeds, and controls that should gain nothing.

    Args:
        gains: the mean of after - before with its interval, by the run's name.
    """
    ax = axes(height_in=1.3 + 0.5 * len(gains))
    ordered = list(gains.items())[::-1]
    for row, (_name, gain) in enumerate(ordered):
        colour = "blue" if gain.low > 0 else "orange" if gain.high < 0 else "quiet"
        interval_row(ax, row, gain, COLOURS[colour], f"{100 * gain.estimate:+.0f}")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1, zorder=0)
    ax.set_yticks(range(len(ordered)), [name for name, _gain in ordered])
    ax.set_ylim(-0.5, len(ordered) - 0.4)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.xaxis.set_major_formatter(lambda share, _place: f"{100 * share:+.0f}")
    ax.set_xlabel(_("Points of held-out pass@1 gained (paired 95 % interval)"))
    better = [name for name, gain in gains.items() if gain.low > 0]
    title = (
        _("Above zero: {names}", names=", ".join(better))
        if better
        else _("No run is above zero")
    )
    each = "; ".join(
        _(
            "{name} {gain:+.0f} ({low:+.0f} to {high:+.0f}, n = {n})",
            name=name,
            gain=100 * gain.estimate,
            low=100 * gain.low,
            high=100 * gain.high,
            n=gain.n,
        )
        for name, gain in gains.items()
    )
    return conclude(ax, title, _("Points gained: {each}.", each=each))


def plot_backtracks(before: Sequence[int], after: Sequence[int]) -> Axes:
    """How many tries answers give up, before and after.

    Args:
        before: of each answer, how often it gave up a try.
        after: the same.
    """
    ax = axes(height_in=3.0)
    most = max([*before, *after])
    for shift, (name, counts, colour) in enumerate(
        ((_("before"), before, "quiet"), (_("after"), after, "blue"))
    ):
        share = [counts.count(n) / len(counts) for n in range(most + 1)]
        places = [n + (shift - 0.5) * 0.42 for n in range(most + 1)]
        ax.bar(places, share, 0.4, color=COLOURS[colour])
        ax.annotate(
            name,
            (1, 0.92 - 0.1 * shift),
            xycoords="axes fraction",
            ha="right",
            color=COLOURS[colour],
        )
    ax.set_xticks(range(most + 1))
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Tries given up in one answer"))
    ax.set_ylabel(_("Share of answers"))
    words = {
        "before": f"{sum(before) / len(before):.1f}",
        "after": f"{sum(after) / len(after):.1f}",
        "n": len(before),
        "m": len(after),
    }
    title = _("An answer gives up {before} tries before, {after} after", **words)
    alt = _("{title}; {n} answers before and {m} after.", title=title, **words)
    return conclude(ax, title, alt)
