"""Training as people like to watch it: a line that moves, and a curve at the end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from matplotlib.axes import Axes
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sparrow.language import _
from sparrow.train.metrics import HeldOut, Line, Step
from sparrow.train.sft import Examined
from sparrow.viz.style import COLOURS, axes, conclude, label_right

__all__ = ["Live", "live", "loss_curve", "plot_running_mean"]

QUIET_EVERY_S = 10.0  # between two lines where nothing can move, such as a log file


class Live:
    """Shows each step as it comes: a moving line, or a line of text now and then."""

    def __init__(self, bars: Progress, steps: int, console: Console) -> None:
        self._bars, self._console, self._steps = bars, console, steps
        self._task = bars.add_task("", total=steps)
        self._told_at_s = 0.0

    def __call__(self, told: Line) -> None:
        """Show it."""
        if isinstance(told, HeldOut):
            self._console.print(
                _(
                    "step {step}: {bits:.3f} bits a byte on held-out {part}",
                    step=told.step,
                    bits=told.bits_per_byte,
                    part=told.part,
                )
            )
            return
        if isinstance(told, Examined):
            self._console.print(
                _(
                    "step {step}: loss {loss:.3f} and entropy {entropy:.3f} nats a "
                    "token on held-out answers",
                    step=told.step,
                    loss=told.loss,
                    entropy=told.entropy,
                )
            )
            return
        assert isinstance(told, Step), "reading tells steps and looks"
        line = _(
            "loss {loss:.3f} · {rate:,.0f} tokens/s · {share:.0%} of peak",
            loss=told.loss,
            rate=told.tokens_per_s,
            share=told.flops_frac,
        )
        self._bars.update(self._task, completed=told.step, description=line)
        is_late = time.monotonic() - self._told_at_s > QUIET_EVERY_S
        if not self._console.is_terminal and is_late:
            self._told_at_s = time.monotonic()
            self._console.print(f"{told.step}/{self._steps} · {line}")


@contextmanager
def live(steps: int) -> Iterator[Live]:
    """A progress bar on stderr, with the loss, the speed and the time that is left."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield Live(bars, steps, console)


def plot_running_mean(
    ax: Axes,
    places: Sequence[float],
    values: Sequence[float],
    *,
    colour: str = "blue",
    weight: float = 0.9,
) -> list[float]:
    """Every value, faint, and their running mean, which is returned."""
    mean = smooth(values, weight)
    ax.plot(places, values, color=COLOURS[colour], linewidth=0.6, alpha=0.35)
    ax.plot(places, mean, color=COLOURS[colour], linewidth=2)
    return mean


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """A running mean that forgets; its beginning is corrected for having no past."""
    smoothed, mean = [], 0.0
    for count, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        smoothed.append(mean / (1 - weight**count))
    return smoothed


def loss_curve(steps: Sequence[Step]) -> Axes:
    """The loss of every step, faint, and its running mean, against tokens read."""
    ax = axes()
    millions = [each.tokens / 1e6 for each in steps]
    losses = [each.loss for each in steps]
    mean = plot_running_mean(ax, millions, losses, weight=0.98)
    ax.set_xlabel(_("tokens read, millions"))
    ax.set_ylabel(_("loss, nats a token"))
    ax.set_ylim(bottom=0)
    label_right(ax, millions[-1], mean[-1], f"{mean[-1]:.2f}", COLOURS["blue"])
    title = _(
        "The loss fell from {first:.2f} to {last:.2f} nats a token in {n:.1f} million "
        "tokens",
        first=losses[0],
        last=mean[-1],
        n=millions[-1],
    )
    return conclude(ax, title, title)
