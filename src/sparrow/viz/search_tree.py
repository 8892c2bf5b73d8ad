"""Draw what a model tried: one branch a try, from the numbers to what they made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes

from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude

__all__ = ["plot_tree"]

MOST_TRIES = 14  # more would be too small to read
WIDE, TALL_IN = 1.0, 0.42


@dataclass
class Node:
    """One step of a search, and the steps that were tried after it."""

    text: str
    depth: int
    row: float = 0.0
    ends: bool = False  # a try stopped here
    after: dict[str, "Node"] = field(default_factory=dict)


def plot_tree(numbers: Sequence[int], target: int, tries: Sequence[str]) -> Axes:
    """A search as a tree: tries that begin alike share their first branch.

    Args:
        numbers: what the problem gives.
        target: what has to be made of them.
        tries: the lines of thought, in their order, such as `3*7=21,21+8=29`.
    """
    shown = list(tries)[:MOST_TRIES]
    root = grown(" ".join(map(str, numbers)), shown)
    leaves = placed(root)
    depth = max(each.depth for each in leaves)
    ax = axes(height_in=1.1 + TALL_IN * len(leaves))
    ax.set_axis_off()
    drawn(ax, root, target)
    ax.set_xlim(-0.45, depth + 0.6)
    ax.set_ylim(len(leaves) - 0.4, -0.6)
    reached = [each for each in shown if made_by(each) == target]
    words = {
        "question": root.text,
        "target": target,
        "n": len(tries),
        "given_up": sum(made_by(each) != target for each in tries),
        "shown": len(shown),
    }
    if not shown:
        title = _("{question}, target {target}: no try is written down", **words)
    elif reached:
        title = _(
            "{question}, target {target}: {n} tries, {given_up} of them given up",
            **words,
        )
    else:
        title = _("{question}, target {target}: {n} tries, and none arrives", **words)
    alt = _(
        "{title}. A tree that grows from left to right; its branches, in their order: "
        "{tries}.",
        title=title,
        tries="; ".join(shown),
    )
    return conclude(ax, title, alt)


def grown(question: str, tries: Sequence[str]) -> Node:
    """The tree of these tries; equal beginnings are one branch."""
    root = Node(question, 0)
    for each in tries:
        node = root
        for step in filter(None, (part.strip() for part in each.split(","))):
            node = node.after.setdefault(step, Node(step, node.depth + 1))
        node.ends = True
    return root


def placed(root: Node) -> list[Node]:
    """Give every node its row; returns the leaves from above to below."""
    leaves: list[Node] = []

    def place(node: Node) -> None:
        if not node.after:
            node.row = len(leaves)
            leaves.append(node)
            return
        for each in node.after.values():
            place(each)
        rows = [each.row for each in node.after.values()]
        node.row = sum(rows) / len(rows)

    place(root)
    return leaves


def drawn(ax: Axes, node: Node, target: int) -> None:
    """The node, its branches, and all that grows on them."""
    for each in node.after.values():
        colour = COLOURS["green" if leads_to(each, target) else "quiet"]
        ax.plot(
            [node.depth + 0.32, each.depth - 0.36],
            [node.row, each.row],
            color=colour,
            linewidth=2.2 if colour == COLOURS["green"] else 1.0,
        )
        drawn(ax, each, target)
    is_end = not node.after and node.depth > 0
    hit = made_by(node.text) == target
    colour = "ink" if not is_end else "green" if hit else "orange"
    ax.text(
        node.depth,
        node.row,
        node.text + ((" ✓" if hit else " ✗") if is_end else ""),
        ha="center",
        va="center",
        color=COLOURS[colour],
        fontweight="bold" if node.depth == 0 or (is_end and hit) else "normal",
        parse_math=False,
    )


def leads_to(node: Node, target: int) -> bool:
    """Whether a branch ends in the target."""
    if not node.after:
        return made_by(node.text) == target
    return any(leads_to(each, target) for each in node.after.values())


def made_by(line: str) -> int | None:
    """What the last step of a line says it makes; None if it says no number."""
    made = line.rpartition("=")[2].strip()
    # Only plain digits: models write anything, and isdigit() knows other scripts.
    return int(made) if made.isascii() and made.isdigit() and len(made) < 9 else None
