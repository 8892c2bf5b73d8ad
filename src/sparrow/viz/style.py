"""One look for every picture: colours all can tell apart, and words for who cannot see.

A plot function takes data and returns Axes. `conclude` gives them a title and a text
alternative; `show` turns them into a picture that a notebook and the book display.
"""

import base64
import html
import io
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "Picture",
    "axes",
    "conclude",
    "dot",
    "label_above",
    "label_ends",
    "label_right",
    "rows_on_tens",
    "show",
    "write",
]

# Okabe and Ito's palette: eight colours that colour-blind readers tell apart.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "yellow": "#E69F00",
    "sky": "#56B4E9",
    "pink": "#CC79A7",
    "ink": "#1A1A1A",
    "quiet": "#767676",
}
RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["quiet"],
    "axes.grid": False,
    "axes.labelcolor": COLOURS["ink"],
    "axes.labelsize": 10.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.size": 10.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "sparrow",  # without it ids are random, and no two runs agree
    "xtick.color": COLOURS["quiet"],
    "ytick.color": COLOURS["quiet"],
}
TITLE_COLUMNS = 68
POINTS_PER_PIXEL = 0.75
LABEL_TALL = 0.08  # of an axis


def axes(width_in: float = 7.0, height_in: float = 3.2) -> Axes:
    """An empty picture of its own; nothing global is touched."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure.subplots()


def conclude(ax: Axes, title: str, alt: str) -> Axes:
    """Give the conclusion as the title, and the same in words for a screen reader."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "Axes from axes() always have a figure"
    figure.suptitle(
        textwrap.fill(title, TITLE_COLUMNS),
        x=0.012,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=COLOURS["ink"],
        parse_math=False,  # a dollar is a dollar
    )
    ax.set_label(alt)
    return ax


@dataclass(frozen=True)
class Picture:
    """A drawn figure: SVG with its text alternative, and a PNG for other readers."""

    svg: bytes
    alt: str
    width_px: int

    def html(self) -> str:
        """An `<img>` that carries its own data and needs no other file."""
        data = base64.b64encode(self.svg).decode("ascii")
        return (
            f'<img alt="{html.escape(self.alt, quote=True)}" width="{self.width_px}" '
            f'style="max-width: 100%; height: auto; background: white" '
            f'src="data:image/svg+xml;base64,{data}">'
        )

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}


def show(ax: Axes) -> Picture:
    """Draw the figure that `ax` belongs to."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "Axes from axes() always have a figure"
    file = io.BytesIO()
    with mpl.rc_context(RC):
        # A date in the file would make two equal pictures differ.
        figure.savefig(file, format="svg", metadata={"Date": None})
    width_px = round(figure.get_size_inches()[0] * 72 / POINTS_PER_PIXEL)
    return Picture(svg=file.getvalue(), alt=str(ax.get_label()), width_px=width_px)


def dot(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """A dot with its value above it."""
    ax.plot(x, y, "o", color=colour, markersize=9)
    label_above(ax, x, y, text, colour, up_points=9)


def rows_on_tens(ax: Axes, names: list[str], values: list[float]) -> None:
    """One named row for each value, on a logarithmic axis with room for labels."""
    ax.set_xscale("log")
    ax.set_xlim(min(values) / 20, max(values) * 20)
    ax.set_ylim(-0.5, len(names) - 0.3)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])


def write(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    color: str = COLOURS["ink"],
    size: float = 10.5,
    weight: str = "normal",
    ha: str = "center",
) -> None:
    """A word or a number around a place."""
    ax.text(x, y, text, color=color, size=size, weight=weight, ha=ha, va="center")


def label_above(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    colour: str,
    *,
    up_points: float,
    size: float = 10.5,
) -> None:
    """A label a little above a place."""
    ax.annotate(
        text,
        (x, y),
        xytext=(0, up_points),
        textcoords="offset points",
        ha="center",
        color=colour,
        fontsize=size,
    )


def label_right(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """A label to the right of the last point: no legend to look up."""
    ax.annotate(
        text,
        (x, y),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        annotation_clip=False,
    )


def label_ends(ax: Axes, ends: Iterable[tuple[float, float, str, str]]) -> None:
    """Labels to the right of several last points, from below, none on another.

    Args:
        ax: with its limits set.
        ends: x, y, text and colour of each.
    """
    low, high = ax.get_ylim()
    place = low
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        place = max(y, place)
        label_right(ax, x, place, text, colour)
        place += LABEL_TALL * (high - low)
