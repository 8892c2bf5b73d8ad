"""Draw how far a token may gain, and how much it weighs among the others."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes

from sparrow.language import _
from sparrow.rl import shares, surrogate
from sparrow.rl.shares import Kind
from sparrow.viz.style import COLOURS, axes, conclude, label_above, label_right, write

__all__ = ["plot_clipping", "plot_weights"]

RATIOS = torch.linspace(0.4, 2.0, 161)
WAYS: dict[Kind, str] = {
    "grpo": "grpo, gspo",
    "dapo": "dapo, bnpo, cispo",
    "dr_grpo": "dr_grpo",
}


def plot_clipping(clip_low: float, clip_high: float) -> Axes:
    """What a token gains when it becomes likelier, in a good answer and in a bad one.

    Args:
        clip_low: how far below 1 a ratio counts.
        clip_high: how far above 1 it counts.
    """
    ax = axes(height_in=3.0)
    change = RATIOS.log()[None].expand(2, -1)
    gain = -surrogate.clipped_surrogate(
        change, torch.tensor([1.0, -1.0]), clip_low=clip_low, clip_high=clip_high
    )
    names = (_("good answer"), _("bad answer"))
    for row, (name, colour) in enumerate(zip(names, ("blue", "orange"), strict=True)):
        ax.plot(RATIOS, gain[row], color=COLOURS[colour], linewidth=2.2)
        label_right(ax, float(RATIOS[-1]), float(gain[row, -1]), name, COLOURS[colour])
    for bound in (1 - clip_low, 1 + clip_high):
        ax.axvline(bound, color=COLOURS["quiet"], linestyle=":", linewidth=1)
    ax.set_xlabel(_("Ratio: how much likelier the token is now"))
    ax.set_ylabel(_("Gain, in advantages"))
    words = {"low": f"{1 - clip_low:.2f}", "high": f"{1 + clip_high:.2f}"}
    title = _(
        "A good answer gains nothing more above {high}, a bad one nothing more below "
        "{low}",
        **words,
    )
    alt = _(
        "{title}. For a good answer the gain rises with the ratio until {high}, then "
        "it is level. For a bad one it is level until {low}, then it falls without "
        "end.",
        title=title,
        **words,
    )
    return conclude(ax, title, alt)


def plot_weights(lengths: Sequence[int]) -> Axes:
    """How much one token of each answer weighs, for three ways to share.

    Args:
        lengths: how many tokens each answer of a batch has.
    """
    ax = axes(height_in=3.0)
    wide = 0.8 / len(lengths)
    found = {kind: token_weights(kind, lengths) for kind in WAYS}
    highest = max(map(max, found.values()))
    places, names = [], []
    for group, (kind, weights) in enumerate(found.items()):
        for row, weight in enumerate(weights):
            place = group + (row - (len(lengths) - 1) / 2) * wide
            places.append(place)
            names.append(str(lengths[row]))
            ax.bar(place, weight, 0.9 * wide, color=COLOURS["blue"])
            number = f"{weight:.3f}"
            label_above(ax, place, weight, number, COLOURS["blue"], up_points=2, size=9)
        write(ax, group, 1.22 * highest, WAYS[kind], weight="bold")
    ax.set_xticks(places, names)
    ax.tick_params(axis="x", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(0, 1.3 * highest)
    ax.set_xlabel(_("Tokens of the answer"))
    ax.set_ylabel(_("Weight of one token"))
    short, long = lengths.index(min(lengths)), lengths.index(max(lengths))
    words = {
        "short": lengths[short],
        "long": lengths[long],
        "grpo": f"{found['grpo'][short] / found['grpo'][long]:.1f}",
        "dapo": f"{found['dapo'][short] / found['dapo'][long]:.1f}",
    }
    title = _(
        "A token of an answer of {short} weighs {grpo} times one of {long} in grpo, "
        "{dapo} times in dapo",
        **words,
    )
    each = "; ".join(
        f"{kind} {', '.join(f'{weight:.3f}' for weight in weights)}"
        for kind, weights in found.items()
    )
    alt = _(
        "Weights of one token in answers of {lengths} tokens: {each}.",
        lengths=", ".join(names[: len(lengths)]),
        each=each,
    )
    return conclude(ax, title, alt)


def token_weights(kind: Kind, lengths: Sequence[int]) -> list[float]:
    """The weight of the first token of each answer."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ones = torch.ones(mask.shape, requires_grad=True)
    shared = shares.aggregate(ones, mask.float(), kind=kind)
    (weight,) = torch.autograd.grad(shared, ones)
    found: list[float] = weight[:, 0].tolist()
    return found
