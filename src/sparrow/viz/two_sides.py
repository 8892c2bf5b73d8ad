"""Draw one dot product from both sides: rebuild the keys, or carry the query."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, write
from sparrow.viz.words import number

__all__ = ["plot_both_sides"]

Rows = Sequence[Sequence[float]]
GAP = 0.45


def plot_both_sides(
    queries: Mapping[str, Sequence[float]], matrices: Mapping[str, Rows], latents: Rows
) -> Axes:
    """The scores of every head, above with rebuilt keys, below with carried queries.

    Args:
        queries: a query for each head, by the head's name.
        matrices: what makes each head's key; its rows are the features of a key.
        latents: one latent a token, shared by all heads.
    """
    tokens, features = len(latents), len(latents[0])
    size = len(next(iter(matrices.values())))
    height, step = tokens + size + 1.6, features + 2 * GAP + size + 2.2
    ax = axes(height_in=5.8)
    ax.set_axis_off()
    ax.set_aspect("equal")
    same = True
    for rebuild, floor in ((True, height + 1.5), (False, 0.0)):
        _grid(ax, 0, floor, latents, "blue", _("latents, kept"))
        side = _("Rebuild the keys") if rebuild else _("Carry the query")
        write(ax, 0, floor + height - 0.6, side, weight="bold", ha="left")
        for head, (letter, query) in enumerate(queries.items()):
            matrix = matrices[letter]
            left = features + 1.1 + head * step
            right, top = left + features + GAP, floor + tokens + GAP
            keys = [[_dot(row, each) for row in matrix] for each in latents]
            carried = [_dot(query, column) for column in zip(*matrix, strict=True)]
            scores = [[_dot(query, key)] for key in keys]
            same &= scores == [[_dot(carried, each)] for each in latents]
            if rebuild:
                name = _("$W_{head}$, {n} times", head=letter, n=tokens)
                _grid(ax, left, floor + (tokens - size) / 2, matrix, "pink", name)
                _grid(ax, right, top, [query], "green", _("query {head}", head=letter))
                name = _("keys {head}", head=letter)
                _grid(ax, right, floor, keys, "orange", name)
            else:
                name = _("$W_{head}$, once", head=letter)
                _grid(ax, left, top, matrix, "pink", name)
                name = _("query {head} × $W_{head}$", head=letter)
                _grid(ax, right, top, [carried], "green", name)
                _empty(ax, right, floor, tokens, size)
            _grid(ax, right + size + GAP, floor, scores, "ink", _("scores"))
    ax.set_xlim(-0.1, features + 1.1 + len(queries) * step - 1.0)
    ax.set_ylim(-0.75, 2 * height + 1.6)
    heads = len(queries)
    words = {
        "scores": tokens * heads,
        "keys": tokens * heads * size,
        "carried": heads * features,
    }
    if not same:
        title = _("The scores differ: one of the two ways is wrong")
        return conclude(ax, title, title)
    return conclude(
        ax,
        _(
            "The same {scores} scores: rebuild {keys} numbers for the keys, or carry "
            "{carried} for the queries",
            **words,
        ),
        _(
            "Two drawings with equal scores. Above, every head rebuilds a key from "
            "every latent: {keys} numbers. Below, every head multiplies its query by "
            "its matrix once, {carried} numbers, and compares with the latents.",
            **words,
        ),
    )


def _grid(
    ax: Axes, left: float, floor: float, rows: Rows, colour: str, name: str
) -> None:
    """Numbers in boxes, the first row on top, with a name below."""
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            corner = (left + column, floor + len(rows) - 1 - row)
            face = "white" if colour == "ink" else COLOURS[colour]
            box = Rectangle(
                corner,
                1,
                1,
                facecolor=face,
                alpha=0.28 if colour != "ink" else 1,
                edgecolor=COLOURS[colour],
            )
            ax.add_patch(box)
            write(ax, corner[0] + 0.5, corner[1] + 0.5, number(value))
    is_query = colour == "green"
    y = floor + 1.32 if is_query else floor - 0.36
    write(ax, left + len(rows[0]) / 2, y, name, size=9, color=COLOURS[colour])


def _empty(ax: Axes, left: float, floor: float, rows: int, columns: int) -> None:
    """The place where keys would be, and are not."""
    box = Rectangle(
        (left, floor),
        columns,
        rows,
        facecolor="none",
        edgecolor=COLOURS["quiet"],
        linestyle="--",
    )
    ax.add_patch(box)
    middle = left + columns / 2, floor + rows / 2
    write(ax, *middle, _("no keys"), color=COLOURS["quiet"], size=9)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
