"""The pictures of lab 08: what is kept, what two directions do, and what it costs."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from torch import Tensor

from sparrow.distill.recorded import RecordedRun
from sparrow.evaluate.intervals import Interval
from sparrow.language import _
from sparrow.viz.lab03 import interval_row
from sparrow.viz.style import COLOURS, axes, conclude, label_right
from sparrow.viz.words import guessed

__all__ = [
    "plot_apart",
    "plot_differences",
    "plot_hills",
    "plot_kept",
    "plot_students",
    "plot_ways",
]

LINE = 13  # pieces in a line
WAY_COLOURS = ("blue", "orange", "green", "pink")
FAR_NATS = 0.5  # a choice that teacher and student make otherwise
STUDENTS = 12


def plot_kept(answers: int, right: int, kept: int) -> Axes:
    """What is left of a teacher's answers.

    Args:
        answers: that it wrote.
        right: of them.
        kept: different ones, not too many a problem, and no test's.
    """
    rows = {_("kept"): kept, _("right"): right, _("written"): answers}
    ax = axes(height_in=2.0)
    for row, (count, colour) in enumerate(
        zip(rows.values(), ("blue", "sky", "quiet"), strict=True)
    ):
        ax.barh(row, count, height=0.6, color=COLOURS[colour])
        label_right(ax, count, row, f"{count:,}", COLOURS["ink"])
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_xlim(0, 1.12 * answers)
    ax.set_xlabel(_("Answers of the teacher"))
    words = {
        "kept": f"{kept:,}",
        "answers": f"{answers:,}",
        "share": f"{right / max(answers, 1):.0%}",
    }
    title = _("{kept} of {answers} answers become lessons; {share} are right", **words)
    return conclude(ax, title, _("Three bars. {title}.", title=title))


def plot_hills(teacher: Tensor, students: Mapping[str, Tensor]) -> Axes:
    """A teacher with two hills, and students that can only make one.

    Args:
        teacher: its probabilities.
        students: theirs, by the distance that they learned with.

    Shapes:
        each [V].
    """
    ax = axes(height_in=3.2)
    words = range(len(teacher))
    ax.bar(words, teacher.tolist(), color="#D9E2EC", width=0.9)
    said = []
    for place, (name, chances) in enumerate(students.items()):
        colour = COLOURS[WAY_COLOURS[place]]
        ax.plot(words, chances.tolist(), "o-", color=colour, markersize=3)
        peak = int(chances.argmax())
        ax.annotate(
            name,
            (peak, float(chances[peak])),
            xytext=(6, 4),
            textcoords="offset points",
            color=colour,
        )
        is_liked = chances > 0.01
        seen = float(teacher[is_liked].sum())
        said.append(
            _("{name} covers {share:.0%} of the teacher", name=name, share=seen)
        )
    ax.set_xticks([0, len(teacher) - 1], [_("first word"), _("last word")])
    ax.set_ylabel(_("Probability"))
    title = "; ".join(said)
    alt = _("Grey bars with two hills, and one line a student. {title}.", title=title)
    return conclude(ax, title, alt)


def plot_apart(pieces: Sequence[str], apart: Tensor) -> Axes:
    """A text, piece by piece: the darker, the farther apart two models are.

    Args:
        pieces: the text of each token.
        apart: a distance in nats at each.

    Shapes:
        apart: [T].
    """
    lines = -(-len(pieces) // LINE)
    ax = axes(height_in=0.9 + 0.42 * lines)
    values = apart.tolist()
    most = max([*values, FAR_NATS])
    for place, (piece, value) in enumerate(zip(pieces, values, strict=True)):
        row, column = divmod(place, LINE)
        shade = max(0.0, value) / most  # rounding may leave a little below 0
        ax.barh(row, 0.94, left=column, height=0.8, color="#EEF2F6", zorder=0)
        ax.barh(
            row,
            0.94,
            left=column,
            height=0.8,
            color=COLOURS["orange"],
            alpha=shade,
            zorder=1,
        )
        ax.text(
            column + 0.47,
            row,
            piece.replace("\n", "↵") or "□",
            ha="center",
            va="center",
            size=7.5,
            color=COLOURS["ink"],
            parse_math=False,
        )
    ax.set_xlim(0, LINE)
    ax.set_ylim(lines - 0.5, -0.6)
    ax.set_axis_off()
    far = [
        piece for piece, value in zip(pieces, values, strict=True) if value > FAR_NATS
    ]
    title = _(
        "At {far} of {n} tokens they are more than {nats:g} nats apart",
        far=len(far),
        n=len(pieces),
        nats=FAR_NATS,
    )
    alt = _("{title}: {pieces}.", title=title, pieces=", ".join(map(repr, far)))
    return conclude(ax, title, alt)


def plot_ways(
    ways: Mapping[str, Sequence[RecordedRun]],
    own: tuple[float, Sequence[float]],
    guess_of_100: object = None,
) -> Axes:
    """What several ways reach, and at which cost.

    Args:
        ways: their runs, by a name.
        own: the learner's run: its sums, and the share that is right of each problem.
        guess_of_100: the learner's guess of answers of 100 that are right; anything
            that is no such number is left out.
    """
    ax = axes(height_in=3.6)
    said = []
    for (name, runs), colour in zip(ways.items(), WAY_COLOURS[1:], strict=False):
        for run in runs:
            ax.plot(run.flops, _mean(run.shares), "o", color=COLOURS[colour], alpha=0.8)
        sizes = dict.fromkeys(run.size for run in runs)
        middle = [
            (
                _mean([run.flops for run in runs if run.size == size]),
                _mean([_mean(run.shares) for run in runs if run.size == size]),
            )
            for size in sizes
        ]
        ax.plot(*zip(*middle, strict=True), color=COLOURS[colour], linewidth=1.2)
        label_right(ax, *middle[-1], name, COLOURS[colour])
        said += [
            _("{name} {share:.0%} for {flops:.1e}", name=name, share=share, flops=flops)
            for flops, share in middle
        ]
    flops, shares = own[0], _mean(own[1])
    ax.plot(flops, shares, "*", color=COLOURS["blue"], markersize=16, zorder=3)
    ax.annotate(
        _("your run"),
        (flops, shares),
        xytext=(-12, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=COLOURS["blue"],
    )
    guess = guessed(guess_of_100)
    if guess is not None and guess <= 100:
        ax.axhline(guess / 100, color=COLOURS["quiet"], linestyle="--", zorder=0)
        ax.annotate(
            _("your guess"),
            (0.01, guess / 100),
            xycoords=("axes fraction", "data"),
            xytext=(0, 4),
            textcoords="offset points",
            color=COLOURS["quiet"],
        )
    ax.set_xlim(left=0)
    ax.margins(y=0.2)
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Sums that it cost (FLOPs)"))
    ax.set_ylabel(_("Answers that are right"))
    title = _(
        "Your student is right in {share:.0%} of its answers for {flops:.1e} sums",
        share=shares,
        flops=flops,
    )
    return conclude(ax, title, f"{title}; {'; '.join(said)}.")


def plot_differences(found: Mapping[str, Interval], one: str, other: str) -> Axes:
    """Paired differences of several runs, one less the other.

    Args:
        found: the mean difference with its interval, by a name.
        one: who is better where it is above zero.
        other: who is better below.
    """
    ax = axes(height_in=1.3 + 0.5 * len(found))
    ordered = list(found.items())[::-1]
    for row, (_name, each) in enumerate(ordered):
        colour = "blue" if each.low > 0 else "orange" if each.high < 0 else "quiet"
        interval_row(ax, row, each, COLOURS[colour], f"{round(100 * each.estimate):+d}")
    ax.axvline(0, color=COLOURS["ink"], linewidth=1, zorder=0)
    ax.set_yticks(range(len(ordered)), [name for name, _each in ordered])
    ax.set_ylim(-0.5, len(ordered) - 0.4)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.xaxis.set_major_formatter(lambda share, _place: f"{100 * share:+.3g}")
    words = {"one": one, "other": other}
    ax.set_xlabel(_("Points of pass@1: {one} less {other} (paired 95 %)", **words))
    title = _(
        "{one} is better in {better} of {n} comparisons, {other} in {worse}; "
        "{open} cannot be told",
        better=sum(each.low > 0 for each in found.values()),
        worse=sum(each.high < 0 for each in found.values()),
        open=sum(each.low <= 0 <= each.high for each in found.values()),
        n=len(found),
        **words,
    )
    told = "; ".join(
        _(
            "{name} {gain:+.1f} ({low:+.1f} to {high:+.1f}, n = {n})",
            name=name,
            gain=100 * each.estimate,
            low=100 * each.low,
            high=100 * each.high,
            n=each.n,
        )
        for name, each in found.items()
    )
    return conclude(ax, title, _("{title}. Points: {told}.", title=title, told=told))


def plot_students(teacher_s: float, alone_s: float, taught_s: float) -> Axes:
    """The bill of several students: each by reward, or a teacher first, for all.

    Args:
        teacher_s: seconds that made the teacher.
        alone_s: seconds of a student by reward.
        taught_s: seconds of a student that is taught, without its teacher.
    """
    ax = axes(height_in=3.2)
    counts = range(1, STUDENTS + 1)
    lines = {
        _("each by reward"): ([n * alone_s for n in counts], "orange"),
        _("a teacher, then all taught"): (
            [teacher_s + n * taught_s for n in counts],
            "blue",
        ),
    }
    for name, (bills, colour) in lines.items():
        minutes = [each / 60 for each in bills]
        ax.plot(counts, minutes, "o-", color=COLOURS[colour], markersize=4)
        label_right(ax, STUDENTS, minutes[-1], name, COLOURS[colour])
    ax.set_xticks(counts)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(_("Students"))
    ax.set_ylabel(_("Minutes, the teacher's too"))
    saved = alone_s - taught_s
    if saved <= 0:
        title = _("With the teacher in the bill, being taught never takes less time")
    else:
        title = _(
            "With the teacher in the bill, being taught takes less time from {n} "
            "students on",
            n=math.floor(teacher_s / saved) + 1,
        )
    alt = _(
        "{title}. The teacher took {teacher:.0f} s, a student by reward {alone:.0f} s "
        "and one that is taught {taught:.0f} s.",
        title=title,
        teacher=teacher_s,
        alone=alone_s,
        taught=taught_s,
    )
    return conclude(ax, title, alt)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
