"""The pictures of lab 05: what a measured share allows one to say, and what not."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from matplotlib.axes import Axes

from sparrow.evaluate import Interval, Point
from sparrow.language import _
from sparrow.viz.lab03 import interval_row
from sparrow.viz.style import COLOURS, axes, conclude, label_right

__all__ = [
    "chance_seen",
    "plot_curves",
    "plot_differences",
    "plot_power",
    "plot_shares",
]

LINE_COLOURS = ("blue", "orange", "green", "pink")
NEAR = 0.06  # of the height; labels nearer than this would touch
FEWEST, MOST = 10, 10_000  # questions


def plot_shares(shares: Mapping[str, Interval]) -> Axes:
    """Shares of right answers with their intervals, one row each.

    Args:
        shares: what was measured, by name; the first one is on top.
    """
    ax = axes(height_in=1.2 + 0.5 * len(shares))
    rows = list(shares.items())[::-1]
    for row, (_name, found) in enumerate(rows):
        interval_row(ax, row, found, COLOURS["blue"], f"{found.estimate:.1%}")
    ax.set_yticks(
        range(len(rows)),
        [_("{name}, n = {n}", name=name, n=found.n) for name, found in rows],
    )
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(-0.5, len(rows) - 0.3)
    ax.xaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Share of questions answered right (95 % interval)"))
    widest = max(shares, key=lambda name: shares[name].high - shares[name].low)
    found = shares[widest]
    title = _(
        "{name}: {n} questions leave {width:.0f} points of doubt",
        name=widest,
        n=found.n,
        width=100 * (found.high - found.low),
    )
    each = "; ".join(
        _(
            "{name} {share:.1%} ({low:.1%} to {high:.1%}, n = {n})",
            name=name,
            share=found.estimate,
            low=found.low,
            high=found.high,
            n=found.n,
        )
        for name, found in shares.items()
    )
    return conclude(ax, title, _("{title}. {each}.", title=title, each=each))


def plot_differences(differences: Mapping[str, Interval]) -> Axes:
    """Paired differences and what they allow: better, worse, or no word at all.

    Args:
        differences: the mean of a - b with its interval, by a name such as `a - b`.
    """
    ax = axes(height_in=1.3 + 0.5 * len(differences))
    rows = list(differences.items())[::-1]
    for row, (_name, found) in enumerate(rows):
        told = found.low > 0 or found.high < 0
        colour = COLOURS["blue" if told else "quiet"]
        interval_row(ax, row, found, colour, f"{100 * found.estimate:+.1f}")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1, zorder=0)
    ax.set_yticks(
        range(len(rows)),
        [_("{name}, n = {n}", name=name, n=found.n) for name, found in rows],
    )
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(-0.5, len(rows) - 0.3)
    ax.xaxis.set_major_formatter(
        lambda share, _place: f"{100 * share:+.0f}" if abs(share) > 1e-9 else "0"
    )
    ax.set_xlabel(_("Difference in points (paired 95 % interval)"))
    open_ones = [
        name for name, found in differences.items() if found.low <= 0 <= found.high
    ]
    title = (
        _(
            "{open} of {all} comparisons cannot distinguish the two",
            open=len(open_ones),
            all=len(rows),
        )
        if open_ones
        else _("Every difference here can be told from zero")
    )
    each = "; ".join(
        _(
            "{name}: {points:+.1f} points ({low:+.1f} to {high:+.1f}, n = {n})",
            name=name,
            points=100 * found.estimate,
            low=100 * found.low,
            high=100 * found.high,
            n=found.n,
        )
        for name, found in differences.items()
    )
    return conclude(ax, title, _("{title}. {each}.", title=title, each=each))


def plot_curves(curves: Mapping[str, Sequence[Point]]) -> Axes:
    """Accuracy against tokens spent, one line for each way to choose an answer.

    Args:
        curves: points with more and more samples, by the name of the way.
    """
    ax = axes(height_in=3.8)
    ends: list[tuple[float, str, str]] = []
    for (name, points), colour in zip(curves.items(), LINE_COLOURS, strict=False):
        tokens = [point.tokens for point in points]
        middle = [point.accuracy.estimate for point in points]
        ax.fill_between(
            tokens,
            [point.accuracy.low for point in points],
            [point.accuracy.high for point in points],
            color=COLOURS[colour],
            alpha=0.15,
            linewidth=0,
        )
        ax.plot(tokens, middle, "o-", color=COLOURS[colour], linewidth=2, markersize=5)
        ends.append((middle[-1], name, COLOURS[colour]))
    ax.set_xscale("log", base=2)
    spent = next(iter(curves.values()))
    ax.set_xticks(
        [point.tokens for point in spent],
        [_("{tokens:.0f}\nk = {k}", tokens=point.tokens, k=point.k) for point in spent],
    )
    ax.minorticks_off()
    last = max(point.tokens for points in curves.values() for point in points)
    ax.set_ylim(0, 1)
    place = -1.0
    for share, name, colour in sorted(ends):
        place = max(share, place + NEAR)
        label_right(ax, last, place, name, colour)
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Tokens spent on a question (k samples)"))
    ax.set_ylabel(_("Questions answered right"))
    best = max(curves, key=lambda name: curves[name][-1].accuracy.estimate)
    points = curves[best]
    words = {
        "name": best,
        "first": f"{points[0].accuracy.estimate:.0%}",
        "last": f"{points[-1].accuracy.estimate:.0%}",
        "times": f"{points[-1].tokens / points[0].tokens:.0f}",
        "n": points[0].accuracy.n,
    }
    title = _(
        "{times} times the tokens: by {name}, {first} becomes {last} (n = {n})",
        **words,
    )
    each = "; ".join(
        _(
            "{name} {first:.0%} with one sample, {last:.0%} ({low:.0%} to {high:.0%}) "
            "with {k}",
            name=name,
            first=points[0].accuracy.estimate,
            last=points[-1].accuracy.estimate,
            low=points[-1].accuracy.low,
            high=points[-1].accuracy.high,
            k=points[-1].k,
        )
        for name, points in curves.items()
    )
    alt = _(
        "{title}. {each}. Bands are 95 % intervals.",
        title=title,
        each=each,
    )
    return conclude(ax, title, alt)


def chance_seen(gain: float, differ: float, questions: int) -> float:
    """How often a paired 95 % interval excludes zero, if the gain is real.

    Args:
        gain: the true difference, as a share.
        differ: on how many questions only one of the two is right, as a share.
        questions: how many are asked.
    """
    deviation = math.sqrt(max(differ - gain**2, 1e-12) / questions)
    bell, z = NormalDist(), NormalDist().inv_cdf(0.975)
    return bell.cdf(gain / deviation - z) + bell.cdf(-gain / deviation - z)


def plot_power(gain_points: float, differ_frac: float, questions: int) -> Axes:
    """How many questions it takes to see a gain.

    Args:
        gain_points: the true gain, in points.
        differ_frac: on how many questions only one of the two models is right.
        questions: how many you ask.
    """
    gain = min(gain_points / 100, differ_frac)
    ax = axes(height_in=3.2)
    asked = [round(FEWEST * (MOST / FEWEST) ** (step / 80)) for step in range(81)]
    seen = [chance_seen(gain, differ_frac, each) for each in asked]
    ax.plot(asked, seen, color=COLOURS["blue"], linewidth=2)
    ax.axhline(0.8, color=COLOURS["quiet"], linestyle="--", linewidth=1, zorder=0)
    chance = chance_seen(gain, differ_frac, questions)
    ax.plot(questions, chance, "o", color=COLOURS["orange"], markersize=9)
    left = chance > 0.5
    ax.annotate(
        _("you ask {n}", n=questions),
        (questions, chance),
        xytext=(-10 if left else 10, 4 if left else -4),
        textcoords="offset points",
        ha="right" if left else "left",
        color=COLOURS["orange"],
    )
    ax.set_xscale("log")
    ax.set_ylim(0, 1.03)
    ax.xaxis.set_major_formatter(lambda n, _place: f"{n:,.0f}")
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Questions asked (both models, the same ones)"))
    ax.set_ylabel(_("Evaluations that see the gain"))
    enough = next((n for n, share in zip(asked, seen, strict=True) if share > 0.8), 0)
    words = {
        "gain": f"{100 * gain:.3g}",
        "n": questions,
        "seen": f"{chance:.0%}",
        "enough": f"{enough:,}",
        "differ": f"{differ_frac:.0%}",
    }
    title = _(
        "A true gain of {gain} points: {n} questions see it in {seen} of evaluations",
        **words,
    )
    told = (
        _("About {enough} questions see it in 80 % of evaluations.", **words)
        if enough
        else _("Not even 10,000 questions see it in 80 % of evaluations.")
    )
    return conclude(
        ax,
        title,
        _(
            "{title}, if the models disagree on {differ} of them. {told}",
            title=title,
            told=told,
            **words,
        ),
    )
