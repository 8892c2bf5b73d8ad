"""The pictures of lab 02: what a token costs to remember, and what absorbing saves."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sparrow.config import Config
from sparrow.cost import attention, published
from sparrow.cost.measure import Measured
from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, dot, label_right, rows_on_tens
from sparrow.viz.tables import Table
from sparrow.viz.words import guessed as a_guess
from sparrow.viz.words import number

__all__ = [
    "plot_cache_sizes",
    "plot_steps",
    "plot_token_bytes",
    "trade_table",
]

GIB = 1024**3
SHARED_HEADS = 8  # a common choice for grouped-query attention
STEP_COLOURS = ("orange", "pink", "blue")


def plot_token_bytes(
    token_bytes: Mapping[str, float], guess_bytes: float | None, guessed: str
) -> Axes:
    """What a token costs in several models, on a scale of tens.

    Args:
        token_bytes: bytes a token, by the name of the model.
        guess_bytes: the learner's prediction; None if there is none yet.
        guessed: the name of the model that the guess is about.
    """
    guess_bytes = a_guess(guess_bytes)
    largest, wanted = max(token_bytes.values()), token_bytes[guessed]
    rows = [(name, value, "blue") for name, value in token_bytes.items()]
    rows = [
        (name, value, "orange" if value == largest else colour)
        for name, value, colour in rows
    ]
    if guess_bytes is not None:
        rows.append((_("your guess"), guess_bytes, "green"))
    ax = axes(height_in=0.9 + 0.5 * len(rows))
    for row, (_name, value, colour) in enumerate(rows):
        dot(ax, value, row, f"{value:,.0f}", COLOURS[colour])
    rows_on_tens(ax, [name for name, *_rest in rows], [value for _n, value, _c in rows])
    ax.set_xlim(min(value for _n, value, _c in rows) / 4, largest * 4)
    ax.set_xlabel(_("Cache for one token (bytes, logarithmic scale)"))
    words = {
        "name": guessed,
        "bytes": f"{wanted:,.0f}",
        "ratio": f"{largest / wanted:.1f}",
    }
    title = _(
        "{name}: {bytes} bytes a token, {ratio} times less than all heads", **words
    )
    if guess_bytes is not None:
        far = max(guess_bytes / wanted, wanted / guess_bytes)
        title = _(
            "{name}: {bytes} bytes a token, {ratio} times less than all heads; your "
            "guess is off by a factor of {far}",
            far=number(far, 2),
            **words,
        )
    each = "; ".join(f"{name}: {value:,.0f}" for name, value, _colour in rows)
    return conclude(
        ax, title, _("{title}. Dots, in bytes: {each}.", title=title, each=each)
    )


def trade_table(config: Config) -> Table:
    """Three ways to remember: what one layer reads and computes for a past token."""
    ways = {
        _("keep all keys and values"): attention.keep(config),
        _("keep latents, rebuild"): attention.rebuild(config),
        _("keep latents, absorb"): attention.absorb(config),
    }
    all_kept, absorbed = attention.keep(config), attention.absorb(config)
    less = all_kept.numbers_per_past_token / absorbed.numbers_per_past_token
    more = absorbed.flops_per_past_token / all_kept.flops_per_past_token
    return Table(
        caption=_(
            "Absorbing reads {less} times fewer numbers than keeping all, and computes "
            "{more} times as much for each past token.",
            less=f"{less:.1f}",
            more=f"{more:.1f}",
        ),
        headers=[
            _("Way"),
            _("Numbers read for each past token"),
            _("FLOPs for each past token"),
            _("FLOPs once for each new token"),
        ],
        rows=[
            [
                name,
                f"{cost.numbers_per_past_token:,}",
                f"{cost.flops_per_past_token:,}",
                f"{cost.flops_once:,}",
            ]
            for name, cost in ways.items()
        ],
        numeric=frozenset({1, 2, 3}),
    )


def plot_steps(seconds: Mapping[str, Sequence[Measured]], past: Sequence[int]) -> Axes:
    """Time for one new token against the length of the past, with intervals.

    Args:
        seconds: for each way, one measurement for each length; the last way is the
            one that the others are compared with.
        past: lengths, in tokens.
    """
    ax = axes(height_in=3.4)
    for (name, row), colour in zip(seconds.items(), STEP_COLOURS, strict=False):
        middle = [each.median * 1e3 for each in row]
        low = [(each.median - each.low) * 1e3 for each in row]
        high = [(each.high - each.median) * 1e3 for each in row]
        ax.errorbar(
            past,
            middle,
            yerr=[low, high],
            color=COLOURS[colour],
            marker="o",
            linewidth=2,
            capsize=4,
        )
        label_right(ax, past[-1], middle[-1], name, COLOURS[colour])
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(past, [f"{each:,}" for each in past])
    ax.minorticks_off()
    ax.set_xlabel(_("Past tokens"))
    ax.set_ylabel(_("Time for one new token\n(ms, logarithmic scale)"))
    *others, last = seconds
    best = seconds[last][-1]
    first, second = (seconds[name][-1].median / best.median for name in others)
    words = {
        "past": f"{past[-1]:,}",
        "first": others[0],
        "second": others[1],
        "last": last,
        "ms": number(best.median * 1e3),
        "times": number(first, 2),
        "more": number(second, 2),
        "n": best.n,
    }
    return conclude(
        ax,
        _(
            "After {past} tokens: {last} takes {ms} ms, {first} {times} times as long, "
            "{second} {more} times",
            **words,
        ),
        _(
            "Three lines over the length of the past. At {past} tokens {last} takes "
            "{ms} ms; {first} takes {times} times as long, {second} {more} times. "
            "Bars are 95 % intervals of the median of {n} repeats.",
            **words,
        ),
    )


def plot_cache_sizes(
    heads: int = 128,
    latent: int = 512,
    context_tokens: int = 32_768,
    machine_gib: float | None = None,
) -> Axes:
    """Cache of a whole text in a model of V3's depth, for four designs.

    Args:
        heads: attention heads.
        latent: features of the latent.
        context_tokens: length of the text.
        machine_gib: memory to compare with; None draws no line.
    """
    shape = published.V3_SHAPE.replace(num_attention_heads=heads, kv_lora_rank=latent)
    head = attention.expanded_features(shape) // heads
    features = {
        _("own key and value for each head"): heads * head,
        _("{n} for all heads (GQA)", n=SHARED_HEADS): min(heads, SHARED_HEADS) * head,
        _("one for all heads (MQA)"): head,
        _("latent and rotated key (MLA)"): latent + shape.qk_rope_head_dim,
    }
    bytes_per_feature = 2 * shape.num_hidden_layers * context_tokens
    sizes = [each * bytes_per_feature / GIB for each in features.values()]
    ax = axes(height_in=2.9)
    colours = [COLOURS[each] for each in ("orange", "quiet", "quiet", "blue")]
    places = range(len(sizes))
    ax.barh(places, sizes, color=colours, height=0.6)
    for place, size in zip(places, sizes, strict=True):
        ax.annotate(
            f"{number(size)} GiB",
            (size, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    ax.set_yticks(places, list(features))
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.invert_yaxis()
    right = max(sizes) * 1.22
    ax.set_xlim(0, right)
    ax.set_xlabel(_("Cache of one text (GiB)"))
    if machine_gib is not None and machine_gib < right:
        ax.axvline(machine_gib, color=COLOURS["green"], linestyle="--", zorder=0)
        ax.annotate(
            _("memory of this machine"),
            (machine_gib, len(sizes) - 0.55),
            xytext=(4, 0),
            textcoords="offset points",
            color=COLOURS["green"],
            va="bottom",
        )
    words = {
        "tokens": f"{context_tokens:,}",
        "all": number(sizes[0]),
        "latent": number(sizes[-1]),
        "ratio": f"{sizes[0] / sizes[-1]:.1f}",
    }
    if sizes[-1] > sizes[0]:
        title = _(
            "{tokens} tokens: the latent needs {latent} GiB, more than all heads "
            "({all} GiB): too few heads to share it",
            **words,
        )
    else:
        title = _(
            "{tokens} tokens: all heads {all} GiB, latents {latent} GiB, {ratio} times "
            "less",
            **words,
        )
    each = "; ".join(
        f"{name}: {number(size)} GiB"
        for name, size in zip(features, sizes, strict=True)
    )
    return conclude(ax, title, _("{title}. Bars: {each}.", title=title, each=each))
