"""Reinforcement learning, watched: a dashboard that moves, and curves at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from matplotlib.axes import Axes
from rich.console import Console
from rich.live import Live as Screen
from rich.table import Table

from sparrow.language import _
from sparrow.rl.metrics import Exam, Rollouts
from sparrow.train.metrics import Line
from sparrow.viz.style import COLOURS, axes, conclude, label_ends, label_right
from sparrow.viz.training import QUIET_EVERY_S, plot_running_mean

__all__ = [
    "Dashboard",
    "learning_curve",
    "length_curve",
    "live",
    "measures",
    "watching",
]

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 32  # steps in a small curve
Measure = tuple[str, Callable[[Rollouts], float], str]


def measures() -> list[Measure]:
    """What the dashboard shows: a name, where it is found, how it is written."""
    return [
        (_("reward"), lambda each: each.reward, ".3f"),
        (_("correctness"), lambda each: each.correctness, ".3f"),
        (_("legality"), lambda each: each.legality, ".3f"),
        (_("format"), lambda each: each.format, ".3f"),
        (_("length, tokens"), lambda each: each.length, ".1f"),
        (_("backtracks"), lambda each: each.backtracks, ".2f"),
        (_("entropy, nats a token"), lambda each: each.entropy, ".3f"),
        (_("groups without signal"), lambda each: each.degenerate_frac, ".0%"),
        (_("KL to the reference"), lambda each: each.kl, ".4f"),
        (_("clipped below"), lambda each: each.clip_low_frac, ".1%"),
        (_("clipped above"), lambda each: each.clip_high_frac, ".1%"),
    ]


class Dashboard:
    """The latest steps of a run, as a table: told step by step, shown at any time."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.told: list[Rollouts] = []
        self.exams: list[Exam] = []

    def __call__(self, line: Line) -> None:
        """Hear of a step or an examination."""
        if isinstance(line, Rollouts):
            self.told.append(line)
        elif isinstance(line, Exam):
            self.exams.append(line)

    @property
    def title(self) -> str:
        """Where the run stands, and how long it will take."""
        if not self.told:
            return _("Before the first step")
        latest = self.told[-1]
        left_s = latest.seconds / latest.step * (self.steps - latest.step)
        return _(
            "Step {step} of {steps} · {rate:,.0f} tokens/s · {left:.0f} min left",
            step=latest.step,
            steps=self.steps,
            rate=latest.tokens_per_s,
            left=left_s / 60,
        )

    @property
    def last_exam(self) -> str:
        """The latest examination in one sentence."""
        if not self.exams:
            return _("No examination yet.")
        return exam_sentence(self.exams[-1])

    def rows(self) -> list[tuple[str, str, str]]:
        """Name, value of the latest step, and a small curve of the latest ones."""
        latest = self.told[-SHOWN:]
        if not latest:
            return []
        return [
            (name, format(value(latest[-1]), form), curve([value(x) for x in latest]))
            for name, value, form in measures()
        ]

    def __rich__(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, caption=self.last_exam, box=None)
        table.add_column()
        table.add_column(justify="right")
        table.add_column(style="blue")
        for row in self.rows():
            table.add_row(*row)
        return table

    def _repr_html_(self) -> str:
        """For a notebook."""
        rows = "".join(
            f"<tr><td style='text-align:left'>{name}</td><td>{value}</td>"
            f"<td style='color:{COLOURS['blue']};font-family:monospace'>{small}</td>"
            "</tr>"
            for name, value, small in self.rows()
        )
        return f"<b>{self.title}</b><table>{rows}</table><p>{self.last_exam}</p>"


def exam_sentence(exam: Exam) -> str:
    """An examination with its interval and its n."""
    return _(
        "Step {step}: {share:.1%} of {n} held-out problems solved at the first "
        "answer (95 % interval {low:.1%} to {high:.1%})",
        step=exam.step,
        share=exam.pass1,
        n=exam.problems,
        low=exam.low,
        high=exam.high,
    )


def curve(values: Sequence[float]) -> str:
    """A small curve made of text: its lowest value is the lowest bar."""
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    last = len(BARS) - 1
    return "".join(BARS[round((each - low) / spread * last)] for each in values)


@contextmanager
def watching(steps: int) -> Iterator[Callable[[Line], None]]:
    """A dashboard in a notebook that moves; at the end, it stays as a still table."""
    import ipywidgets
    from IPython.display import clear_output, display

    board = Dashboard(steps)
    shown = ipywidgets.HTML(board._repr_html_())
    display(shown)

    def tell(line: Line) -> None:
        board(line)
        shown.value = board._repr_html_()

    try:
        yield tell
    finally:
        clear_output(wait=True)
        shown.close()
        display(board)


@contextmanager
def live(steps: int) -> Iterator[Callable[[Line], None]]:
    """A dashboard on stderr that moves; in a log file, a line now and then."""
    console = Console(stderr=True)
    board = Dashboard(steps)
    if console.is_terminal:
        with Screen(board, console=console, refresh_per_second=2):
            yield board
        return
    told_at_s = 0.0

    def tell(line: Line) -> None:
        nonlocal told_at_s
        board(line)
        if isinstance(line, Exam):
            console.print(exam_sentence(line), soft_wrap=True)
        elif time.monotonic() - told_at_s > QUIET_EVERY_S:
            told_at_s = time.monotonic()
            seen = " · ".join(f"{name} {value}" for name, value, _c in board.rows()[:6])
            console.print(f"{board.title} · {seen}", soft_wrap=True)

    yield tell


def learning_curve(steps: Sequence[Rollouts], exams: Sequence[Exam]) -> Axes:
    """Reward of every step, its running mean, and examinations with their intervals."""
    ax = axes()
    number = [each.step for each in steps]
    mean = plot_running_mean(ax, number, [each.reward for each in steps])
    ends = [(number[-1], mean[-1], _("reward"), COLOURS["blue"])]
    ax.set_xlabel(_("step"))
    ax.set_ylabel(_("share of answers"))
    ax.set_ylim(0, 1)
    if not exams:
        label_ends(ax, ends)
        title = _(
            "Reward went from {first:.2f} to {last:.2f} in {n} steps",
            first=mean[0],
            last=mean[-1],
            n=number[-1],
        )
        return conclude(ax, title, title)
    at = [each.step for each in exams]
    pass1 = [each.pass1 for each in exams]
    around = [
        [each.pass1 - each.low for each in exams],
        [each.high - each.pass1 for each in exams],
    ]
    ax.errorbar(at, pass1, around, color=COLOURS["orange"], fmt="o-", capsize=3)
    ends.append((at[-1], pass1[-1], _("held-out pass@1"), COLOURS["orange"]))
    label_ends(ax, ends)
    title = _(
        "Held-out pass@1 went from {first:.0%} to {last:.0%} in {n} steps "
        "({problems} problems, 95 % bars)",
        first=pass1[0],
        last=pass1[-1],
        n=number[-1],
        problems=exams[-1].problems,
    )
    return conclude(ax, title, title)


def length_curve(steps: Sequence[Rollouts]) -> Axes:
    """How long answers became, without anyone asking for it."""
    ax = axes()
    number = [each.step for each in steps]
    mean = plot_running_mean(ax, number, [each.length for each in steps])
    label_right(ax, number[-1], mean[-1], f"{mean[-1]:.0f}", COLOURS["blue"])
    ax.set_xlabel(_("step"))
    ax.set_ylabel(_("tokens an answer"))
    ax.set_ylim(bottom=0)
    title = _(
        "Answers went from {first:.0f} to {last:.0f} tokens in {n} steps",
        first=mean[0],
        last=mean[-1],
        n=number[-1],
    )
    return conclude(ax, title, title)
