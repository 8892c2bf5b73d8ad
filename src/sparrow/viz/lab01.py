"""The pictures of lab 01: who pays more tokens for the same, before and after."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from sparrow.language import _
from sparrow.text.languages import LANGUAGES, Ratio
from sparrow.viz.style import COLOURS, axes, conclude, label_right

__all__ = ["tax_plot", "two_taxes"]

ROW_IN = 0.25
CLEAR = 0.1  # of the width; a label needs this much beside its dot
SHORT = 0.05  # of the width; a shorter arrow is all head, nearer ticks touch
NEAR = 0.3  # of the width; two labels nearer than this would touch


def tax_plot(taxes: Mapping[str, Ratio], tokenizer: str) -> Axes:
    """Tokens for the same text, against English: one row a language, most on top.

    Args:
        taxes: a ratio for each code of a language.
        tokenizer: the name of what counted the tokens.
    """
    rows = sorted(taxes.items(), key=lambda row: row[1].estimate)
    ax = axes(height_in=1.3 + ROW_IN * len(rows))
    most = len(rows) - 1
    for place, (_code, ratio) in enumerate(rows):
        colour = COLOURS["orange" if place == most else "blue"]
        ax.plot([ratio.low, ratio.high], [place, place], color=colour, linewidth=2)
        ax.plot(ratio.estimate, place, "o", color=colour, markersize=6)
        label_right(ax, ratio.high, place, _two(ratio.estimate), colour)
    right = max(ratio.high for ratio in taxes.values())
    left = min(1.0, *(ratio.low for ratio in taxes.values()))
    _name_rows(ax, [code for code, _ratio in rows], left, right)
    ax.set_xlabel(_("Tokens for the same text (English = 1)"))
    code, ratio = ([row for row in rows if row[0] != "en"] or rows)[-1]
    words = {
        "tokenizer": tokenizer,
        "language": _name(code),
        "times": _two(ratio.estimate),
        "low": _two(ratio.low),
        "high": _two(ratio.high),
        "n": ratio.n,
    }
    if ratio.estimate > 1:
        title = _(
            "{tokenizer}: {language} pays most, {times} times the tokens of English "
            "(95 % interval {low} to {high}, n = {n})",
            **words,
        )
    else:
        title = _(
            "{tokenizer}: no language here pays more than English; {language} pays "
            "{times} times as many tokens (95 % interval {low} to {high}, n = {n})",
            **words,
        )
    each = "; ".join(f"{_name(code)}: {_told(ratio)}" for code, ratio in reversed(rows))
    return conclude(
        ax,
        title,
        _("{title}. Dots with intervals, most first: {each}.", title=title, each=each),
    )


def two_taxes(
    before: Mapping[str, Ratio],
    after: Mapping[str, Ratio],
    *,
    names: tuple[str, str] | None = None,
) -> Axes:
    """An arrow for each language, from what it paid to what it pays.

    Both are against English under the same tokenizer: an arrow to the left may also
    mean that English pays more.

    Args:
        before: a ratio for each code of a language, under the first tokenizer.
        after: the same under the second; languages in one of them only are left out.
        names: what the two tokenizers are called.
    """
    first, second = names or (_("trained on English"), _("trained on a mixture"))
    codes = sorted(set(before) & set(after), key=lambda code: before[code].estimate)
    ax = axes(height_in=1.5 + ROW_IN * len(codes))
    for place, code in enumerate(codes):
        for ratio, colour in ((before[code], "orange"), (after[code], "blue")):
            bounds = [ratio.low, ratio.high]
            ax.plot(bounds, [place, place], color=COLOURS[colour], linewidth=2)
            ax.plot(ratio.estimate, place, "o", color=COLOURS[colour], markersize=5)
    ratios = [row[code] for row in (before, after) for code in codes]
    left = min(1.0, *(ratio.low for ratio in ratios))
    right = max(ratio.high for ratio in ratios)
    _name_rows(ax, codes, left, right)
    for place, code in enumerate(codes):
        start, end = before[code].estimate, after[code].estimate
        if abs(start - end) > SHORT * (right - left):
            _arrow(ax, start, end, place)
    start, end = before[codes[-1]].estimate, after[codes[-1]].estimate
    lines = 2 if abs(start - end) < NEAR * (right - left) else 1
    _label_above(ax, start, len(codes) - 1, first, COLOURS["orange"])
    _label_above(ax, end, len(codes) - 1, second, COLOURS["blue"], lines)
    ax.set_xlabel(_("Tokens for the same text (English = 1, for each tokenizer)"))
    others = [code for code in codes if code != "en"] or codes
    gains = max(others, key=lambda code: before[code].estimate - after[code].estimate)
    words = {
        "first": first,
        "second": second,
        "less": sum(after[code].high < before[code].low for code in others),
        "more": sum(after[code].low > before[code].high for code in others),
        "all": len(others),
        "language": _name(gains),
        "before": _two(before[gains].estimate),
        "after": _two(after[gains].estimate),
        "n": after[gains].n,
    }
    title = _(
        "From “{first}” to “{second}”, against English: clearly fewer tokens for "
        "{less} of {all} languages, clearly more for {more}; {language} {after} "
        "instead of {before} times (n = {n})",
        **words,
    )
    each = "; ".join(
        _(
            "{language}: {before} before, {after} after",
            language=_name(code),
            before=_told(before[code]),
            after=_told(after[code]),
        )
        for code in reversed(codes)
    )
    return conclude(
        ax,
        title,
        _(
            "{title}. Clearly means that the 95 % intervals do not touch. Arrows, most "
            "before first: {each}.",
            title=title,
            each=each,
        ),
    )


def _two(value: float) -> str:
    """Two decimals everywhere, so that rows can be compared."""
    return f"{value:.2f}"


def _name(code: str) -> str:
    """The language in English: no font has the letters of all of them."""
    return LANGUAGES.get(code, code)


def _told(ratio: Ratio) -> str:
    """1.23 (1.10 to 1.36)."""
    return _(
        "{ratio} ({low} to {high})",
        ratio=_two(ratio.estimate),
        low=_two(ratio.low),
        high=_two(ratio.high),
    )


def _name_rows(ax: Axes, codes: list[str], left: float, right: float) -> None:
    """The names of the languages, the line of English, and room for labels."""
    ax.axvline(1, color=COLOURS["quiet"], linestyle="--", linewidth=1, zorder=0)
    ax.set_yticks(range(len(codes)), [_name(code) for code in codes])
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.set_ylim(-0.7, len(codes) - 0.3)
    room = CLEAR * (right - left) + 0.05
    ax.set_xlim(left - room / 2, right + room)
    low, high = ax.get_xlim()
    apart = SHORT * (high - low)
    others = [x for x in ax.get_xticks() if low < x < high and abs(x - 1) > apart]
    ticks = sorted([1.0, *others])
    ax.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])


def _arrow(ax: Axes, start: float, end: float, place: int) -> None:
    ax.annotate(
        "",
        (end, place),
        xytext=(start, place),
        arrowprops={
            "arrowstyle": "->",
            "color": COLOURS["quiet"],
            "linewidth": 1,
            "shrinkA": 3,
            "shrinkB": 3,
        },
    )


def _label_above(
    ax: Axes, x: float, place: int, text: str, colour: str, lines: int = 1
) -> None:
    ax.annotate(
        text,
        (x, place),
        xytext=(0, 13 * lines - 4),
        textcoords="offset points",
        ha="center",
        color=colour,
        annotation_clip=False,
    )
