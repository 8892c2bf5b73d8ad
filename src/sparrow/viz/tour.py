"""The pictures of the tour: how memory grows with every token."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, label_right

__all__ = ["plot_cache_growth"]

KIB = 1024


def plot_cache_growth(bytes_used: Mapping[str, Sequence[int]]) -> Axes:
    """Bytes of cache after each token, one line for each model.

    Args:
        bytes_used: for each model's name, the bytes after 1, 2, 3, … tokens; the
            first model is the one compared with the last.
    """
    ax = axes()
    colours = (COLOURS["orange"], COLOURS["blue"], COLOURS["green"])
    per_token = {}
    for (name, values), colour in zip(bytes_used.items(), colours, strict=False):
        tokens = range(1, len(values) + 1)
        ax.plot(tokens, [each / KIB for each in values], color=colour, linewidth=2)
        per_token[name] = values[-1] / len(values)
        label = _(
            "{name}: {each} bytes a token", name=name, each=f"{per_token[name]:,.0f}"
        )
        label_right(ax, len(values), values[-1] / KIB, label, colour)
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, max(map(len, bytes_used.values())))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))
    ax.set_xlabel(_("Tokens read"))
    ax.set_ylabel(_("Cache (KiB)"))
    first, *_others, last = per_token
    ratio = per_token[first] / per_token[last]
    words = {"first": first, "last": last, "ratio": f"{ratio:.0f}"}
    return conclude(
        ax,
        _("{first} pays {ratio} times as much for each token as {last}", **words),
        _(
            "Straight lines that rise with each token read: steep for {first}, which "
            "needs {ratio} times the memory of {last}, and almost flat for {last}.",
            **words,
        ),
    )
