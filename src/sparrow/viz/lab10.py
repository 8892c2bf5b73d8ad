"""The pictures of lab 10: blocks that come and go, crowds, and what a class felt."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sparrow.language import _
from sparrow.serve.bench import Answered
from sparrow.serve.rehearse import Frame
from sparrow.viz.style import COLOURS, axes, conclude, label_right, show, write
from sparrow.viz.words import guessed

__all__ = ["PageTable", "plot_crowds", "plot_pages", "plot_waits", "watch_pages"]

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
ACROSS = 16  # blocks in a row
OWNERS = ("blue", "orange", "green", "yellow", "sky", "pink")
STILLS = 3  # frames that a still picture shows
GAP = 1.6  # rows between two frames
STEP_MS = 120


def plot_pages(frames: Sequence[Frame]) -> Axes:
    """Every block of the cache as a square, for some steps, one below the other.

    A square has the colour and the number of its request; black ones have several
    readers. Grey: known, and read by nobody.
    """
    rows = -(-frames[0].blocks // ACROSS)
    height = len(frames) * (rows + GAP) - GAP
    ax = axes(height_in=0.8 + 0.36 * height)
    for place, frame in enumerate(frames):
        _draw_frame(ax, frame, top=place * (rows + GAP))
    ax.set_xlim(-3.4, ACROSS + 0.2)
    ax.set_ylim(height + 0.2, -0.4)
    ax.set_aspect("equal")
    ax.axis("off")
    busy = max(frames, key=lambda each: len(_readers(each)))
    shared = sum(len(each) > 1 for each in _readers(busy).values())
    title = _(
        "At step {step}, {n} requests live in {used} of {all} blocks; {shared} blocks "
        "have several readers",
        step=busy.step,
        n=len(busy.table),
        used=len(_readers(busy)),
        all=busy.blocks,
        shared=shared,
    )
    alt = " ".join(_said(each) for each in frames)
    return conclude(ax, title, alt)


def _readers(frame: Frame) -> dict[int, list[int]]:
    """Block -> the requests that read it."""
    found: dict[int, list[int]] = {}
    for request, blocks in frame.table.items():
        for block in blocks:
            found.setdefault(block, []).append(request)
    return found


def _said(frame: Frame) -> str:
    """A frame in words."""
    used = _readers(frame)
    return _(
        "Step {step}: {n} requests in {used} blocks, {waiting} wait, {known} blocks "
        "without a reader are known.",
        step=frame.step,
        n=len(frame.table),
        used=len(used),
        waiting=frame.waiting,
        known=len(frame.known - used.keys()),
    )


def _draw_frame(ax: Axes, frame: Frame, top: float) -> None:
    readers = _readers(frame)
    for block in range(frame.blocks):
        x, y = block % ACROSS, top + block // ACROSS
        own = readers.get(block, [])
        face = COLOURS[OWNERS[own[0] % len(OWNERS)]] if own else "white"
        if len(own) > 1:
            face = COLOURS["ink"]
        if not own and block in frame.known:
            face = "#D9D9D9"
        ax.add_patch(
            Rectangle((x, y), 0.9, 0.9, facecolor=face, edgecolor="#BBBBBB", lw=0.6)
        )
        if own:
            few = len(own) < 4
            text = "·".join(map(str, own)) if few else f"×{len(own)}"
            size = 9.0 if len(text) < 4 else 6.0
            write(ax, x + 0.45, y + 0.47, text, color="white", size=size, weight="bold")
    write(ax, -0.3, top + 0.5, _("step {n}", n=frame.step), ha="right", weight="bold")
    if frame.waiting:
        said = _("{n} wait", n=frame.waiting)
        write(ax, -0.3, top + 1.4, said, ha="right", color=COLOURS["quiet"])


class PageTable:
    """The blocks, step by step: a slider and a button; on paper, a few of the steps.

    Args:
        frames: one a step.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        import ipywidgets

        self.frames = list(frames)
        last = len(self.frames) - 1
        middle = [last * part // (STILLS + 1) for part in range(1, STILLS + 1)]
        self.still = show(plot_pages([self.frames[each] for each in middle]))
        self.player = ipywidgets.Play(
            min=0, max=last, interval=STEP_MS, description=_("Play")
        )
        self.slider = ipywidgets.IntSlider(
            min=0, max=last, value=middle[0], description=_("Step")
        )
        self.picture = ipywidgets.HTML()
        ipywidgets.jslink((self.player, "value"), (self.slider, "value"))
        self.slider.observe(lambda _change: self._redraw(), names="value")
        self._redraw()
        row = ipywidgets.HBox([self.player, self.slider])
        self.box = ipywidgets.VBox([row, self.picture])

    def _redraw(self) -> None:
        self.picture.value = show(plot_pages([self.frames[self.slider.value]])).html()

    def _repr_mimebundle_(self, **options: object) -> dict[str, Any]:
        moving = self.box._repr_mimebundle_(**options)
        bundle = moving[0] if isinstance(moving, tuple) else moving
        return {WIDGET_VIEW: bundle[WIDGET_VIEW], **self.still._repr_mimebundle_()}


def watch_pages(frames: Sequence[Frame]) -> PageTable:
    """Watch blocks come and go."""
    return PageTable(frames)


def plot_crowds(speeds: Mapping[int, float], guess: object = None) -> Axes:
    """Tokens a second, all together, against how many read at the same time.

    Args:
        speeds: by the number of requests.
        guess: how many times the speed of one reader was expected of the largest crowd.
    """
    ax = axes()
    crowds = sorted(speeds)
    alone, most = speeds[crowds[0]], crowds[-1]
    ax.plot(crowds, [speeds[each] for each in crowds], "o-", color=COLOURS["blue"])
    ax.plot([1, most], [alone, alone * most], "--", color=COLOURS["quiet"], linewidth=1)
    label_right(ax, most, speeds[most], _("measured"), COLOURS["blue"])
    label_right(ax, most, alone * most, _("if each cost nothing"), COLOURS["quiet"])
    if (times := guessed(guess)) is not None:
        ax.plot([most], [alone * times], "D", color=COLOURS["orange"])
        said = _("your guess: {times:g} times", times=times)
        label_right(ax, most, alone * times, said, COLOURS["orange"])
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(crowds, [str(each) for each in crowds])
    ax.yaxis.set_major_formatter(lambda rate, _place: f"{rate:,.0f}")
    ax.set_xlabel(_("Requests at the same time"))
    ax.set_ylabel(_("tokens/s, all together"))
    title = _(
        "{most} requests get {times:.1f} times the tokens of one, and each waits "
        "{slower:.1f} times as long for a token",
        most=most,
        times=speeds[most] / alone,
        slower=alone * most / speeds[most],
    )
    told = "; ".join(f"{each}: {speeds[each]:,.0f}" for each in crowds)
    return conclude(ax, title, _("Tokens a second by requests: {told}.", told=told))


def plot_waits(groups: Mapping[str, Sequence[Answered]]) -> Axes:
    """Everybody's wait for the first word, sorted, one curve a way of serving.

    Args:
        groups: by name, those who were answered.
    """
    ax = axes()
    ends, told = [], []
    for (name, answers), colour in zip(groups.items(), OWNERS, strict=False):
        waits = sorted(1000 * each.first_s for each in answers)
        shares = [(place + 1) / len(waits) for place in range(len(waits))]
        ax.step(waits, shares, where="post", color=COLOURS[colour], linewidth=2)
        half, most = waits[len(waits) // 2], waits[int(0.95 * (len(waits) - 1))]
        ends.append((waits[-1], 1.0, name, COLOURS[colour]))
        told.append(
            _(
                "{name}: half within {half:,.0f} ms, 95 % within {most:,.0f} ms",
                name=name,
                half=half,
                most=most,
            )
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda at, _place: f"{at:g}")
    ax.set_ylim(0, 1.05)
    ax.yaxis.set_major_formatter(lambda share, _place: f"{share:.0%}")
    ax.set_xlabel(_("Wait for the first word, ms"))
    ax.set_ylabel(_("learners who have it"))
    for place, (x, _y, name, colour) in enumerate(ends):
        label_right(ax, x, 0.98 - 0.1 * place, name, colour)
    return conclude(ax, "; ".join(told), "; ".join(told))
