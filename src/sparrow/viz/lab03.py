"""The pictures of lab 03: who works, who is idle, and whether experts pay."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sparrow.evaluate.intervals import Interval
from sparrow.language import _
from sparrow.train.balancing import balance_alone
from sparrow.viz.style import COLOURS, axes, conclude, label_above, label_right
from sparrow.viz.training import plot_running_mean

__all__ = [
    "plot_acceptance",
    "plot_balancing",
    "plot_violations",
]

RUN_COLOURS = ("orange", "blue", "green", "pink")
LAST = 0.25  # the part of the steps that a summary is about
V3_ACCEPTED = (0.85, 0.90)  # arXiv:2412.19437, section 5.4.3


def settled(violations: Sequence[float]) -> float:
    """The mean of the last quarter of the steps."""
    last = violations[-max(1, round(LAST * len(violations))) :]
    return sum(last) / len(last)


def plot_violations(
    runs: Mapping[str, Sequence[float]], guess_times: float | None = None
) -> Axes:
    """MaxVio along training, for several runs.

    Args:
        runs: MaxVio of every step, by the name of the run; the first is the one
            that the guess is about.
        guess_times: the learner's guess of the busiest expert's load, in times the
            fair share, which is MaxVio plus one; None if there is none.
    """
    ax = axes(height_in=3.4)
    longest = max(map(len, runs.values()))
    for (name, values), colour in zip(runs.items(), RUN_COLOURS, strict=False):
        steps = range(1, len(values) + 1)
        mean = plot_running_mean(ax, steps, values, colour=colour)
        label_right(ax, len(values), mean[-1], name, COLOURS[colour])
    if guess_times is not None:
        ax.axhline(guess_times - 1, color=COLOURS["green"], linestyle="--", zorder=0)
        ax.annotate(
            _("your guess"),
            (longest, guess_times - 1),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            color=COLOURS["green"],
        )
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, longest)
    ax.set_xlabel(_("Step of training"))
    ax.set_ylabel(_("MaxVio (0: all experts\nwork equally much)"))
    ends = {name: settled(values) for name, values in runs.items()}
    each = "; ".join(f"{name}: {1 + end:.1f}" for name, end in ends.items())
    title = _("Load of the busiest expert, in times its fair share: {each}", each=each)
    if guess_times is not None:
        title = _("{title}; you guessed {guess:.1f}", title=title, guess=guess_times)
    alt = _(
        "MaxVio over {n} steps of training, one line a run. Means of the last quarter: "
        "{each}.",
        n=longest,
        each="; ".join(f"{name} {end:.2f}" for name, end in ends.items()),
    )
    return conclude(ax, title, alt)


def plot_acceptance(parts: Mapping[str, Interval]) -> Axes:
    """How often guesses are kept, in each kind of text, with intervals."""
    ordered = sorted(parts.items(), key=lambda part: part[1].estimate)
    ax = axes(height_in=1.2 + 0.5 * len(parts))
    for row, (_name, kept) in enumerate(ordered):
        interval_row(ax, row, kept, COLOURS["blue"], f"{kept.estimate:.0%}")
    low, high = V3_ACCEPTED
    ax.axvspan(low, high, color=COLOURS["sky"], alpha=0.35, linewidth=0)
    ax.annotate(
        _("DeepSeek-V3"),
        ((low + high) / 2, len(parts) - 0.45),
        ha="center",
        va="bottom",
        color=COLOURS["quiet"],
        annotation_clip=False,
    )
    ax.set_yticks(range(len(parts)), [name for name, _kept in ordered])
    ax.set_ylim(-0.5, len(parts) - 0.45)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Guesses that are kept (with 95 % interval)"))
    (worst, least), (best, most) = ordered[0], ordered[-1]
    words = {
        "best": best,
        "most": f"{most.estimate:.0%}",
        "worst": worst,
        "least": f"{least.estimate:.0%}",
    }
    title = _(
        "The model keeps {most} of the guesses in {best}, {least} in {worst}", **words
    )
    each = "; ".join(
        _(
            "{name} {share:.0%} ({low:.0%} to {high:.0%}, n = {n})",
            name=name,
            share=kept.estimate,
            low=kept.low,
            high=kept.high,
            n=kept.n,
        )
        for name, kept in ordered
    )
    return conclude(ax, title, _("Shares with 95 % intervals: {each}.", each=each))


def interval_row(ax: Axes, row: int, found: Interval, colour: str, text: str) -> None:
    """A dot with its interval, and the value above it."""
    reach = [[found.estimate - found.low], [found.high - found.estimate]]
    ax.errorbar(
        found.estimate,
        row,
        xerr=reach,
        color=colour,
        marker="o",
        capsize=4,
        linewidth=2,
    )
    label_above(ax, found.estimate, row, text, colour, up_points=7)


def plot_balancing(speed: float, lean: float, tokens: int) -> Axes:
    """Biases at work on a router that never learns: MaxVio of every step.

    Args:
        speed: how far a bias moves in a step.
        lean: how much all tokens have in common.
        tokens: of a step.
    """
    violations = balance_alone(speed, lean=lean, tokens=tokens, steps=150)
    ax = axes(height_in=2.8)
    ax.plot(violations, color=COLOURS["blue"], linewidth=1.5)
    ax.set_ylim(0, 3.1)
    ax.set_xlim(0, len(violations))
    ax.set_xlabel(_("Step"))
    ax.set_ylabel(_("MaxVio"))
    words = {"first": f"{violations[0]:.2f}", "last": f"{settled(violations):.2f}"}
    title = _("MaxVio goes from {first} to {last}, the mean of the last steps", **words)
    return conclude(ax, title, title)
