"""The pictures of lab 00: what training costs, and what a headline hides."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from sparrow.cost import bill, ledger, published
from sparrow.cost.measure import Measured
from sparrow.language import _
from sparrow.viz.style import COLOURS, axes, conclude, dot, label_right, rows_on_tens
from sparrow.viz.words import energy, guessed, number

__all__ = [
    "plot_claim",
    "plot_ledger",
    "plot_repeats",
    "plot_stages",
    "plot_years",
]

DAYS_A_YEAR = 365.25
FACTORS_SHOWN = (1.0, 2.0, 4.0)
RATIOS_SHOWN = (1, 2, 4, 9, 18, 36)
PRICES_SHOWN = [1.0 + 0.05 * step for step in range(61)]


def plot_repeats(measured: Measured) -> Axes:
    """Each repeat of a speed measurement (FLOP/s), its median and interval."""
    ax = axes()
    gflops = [each / 1e9 for each in measured.values]
    median, low, high = (
        each / 1e9 for each in (measured.median, measured.low, measured.high)
    )
    ax.axhspan(low, high, color=COLOURS["sky"], alpha=0.35, linewidth=0)
    ax.axhline(median, color=COLOURS["blue"], linewidth=1.5)
    ax.plot(range(1, measured.n + 1), gflops, "o", color=COLOURS["ink"], markersize=5)
    ax.set_xlim(0.4, measured.n + 0.6)
    ax.set_ylim(0, max(gflops) * 1.15)
    ax.set_xlabel(_("Repeat"))
    ax.set_ylabel(_("Speed (GFLOP/s)"))
    label_right(ax, measured.n + 0.6, median, _("median"), COLOURS["blue"])
    words = {"median": number(median), "low": number(low), "high": number(high)}
    return conclude(
        ax,
        _(
            "This machine does {median} GFLOP/s (95 % interval {low} to {high}, "
            "{n} repeats)",
            n=measured.n,
            **words,
        ),
        _(
            "{n} dots, one for each repeat of a matrix product. Their median is "
            "{median} GFLOP/s; the interval goes from {low} to {high}.",
            n=measured.n,
            **words,
        ),
    )


def plot_years(
    guess_years: float | None,
    years: Sequence[float],
    cluster_days: float,
    cards: int,
) -> Axes:
    """How long V3's training takes: your guess, this machine, and the real cluster.

    Args:
        guess_years: the learner's prediction; None if there is none yet.
        years: years that this machine needs: the median and both ends.
        cluster_days: days that the real cluster needed.
        cards: how many cards it had.
    """
    guess_years = guessed(guess_years)
    ax = axes(height_in=2.7)
    low, middle, high = sorted(years)
    days = number(cluster_days)
    rows = [
        (_("{n} H800 cards", n=cards), cluster_days / DAYS_A_YEAR, "green"),
        (_("this machine"), middle, "blue"),
    ]
    labels = [_("{n} days", n=days), _("{n} years", n=number(middle))]
    if guess_years is not None:
        rows.append((_("your guess"), guess_years, "orange"))
        labels.append(_("{n} years", n=number(guess_years)))
    for row, (_name, value, colour) in enumerate(rows):
        dot(ax, value, row, labels[row], COLOURS[colour])
    ax.hlines(1, low, high, color=COLOURS["blue"], linewidth=4)
    values = [value for _name, value, _colour in rows]
    rows_on_tens(ax, [name for name, _value, _colour in rows], values)
    ax.set_xlabel(_("Time to train DeepSeek-V3 (years, logarithmic scale)"))
    needed = _("This machine would need {years} years", years=number(middle))
    alt = _(
        "Dots on a scale of years: this machine, {years}; the cluster of {cards} "
        "cards, {days} days.",
        years=number(middle),
        cards=cards,
        days=days,
    )
    if guess_years is None:
        return conclude(ax, needed, alt)
    far = number(max(middle / guess_years, guess_years / middle), 2)
    title = _(
        "This machine would need {years} years; your guess is off by a factor of {far}",
        years=number(middle),
        far=far,
    )
    return conclude(ax, title, f"{title}. {alt}")


def plot_stages(stage_hours: Mapping[str, float], added_hours: float) -> Axes:
    """The hours of V3 by stage, and what R1 added on top."""
    ax = axes(height_in=2.7)
    names = {
        "pretraining": _("V3: pretraining"),
        "context extension": _("V3: longer context"),
        "post-training": _("V3: post-training"),
    }
    rows = [(names[stage], hours) for stage, hours in stage_hours.items()]
    rows.append((_("R1: learning to reason"), added_hours))
    colours = [COLOURS["blue"]] * len(stage_hours) + [COLOURS["orange"]]
    places = range(len(rows))
    ax.barh(places, [hours / 1e3 for _name, hours in rows], color=colours, height=0.62)
    for place, (_name, hours) in enumerate(rows):
        ax.annotate(
            f"{hours / 1e3:,.0f}",
            (hours / 1e3, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    ax.set_yticks(places, [name for name, _hours in rows])
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    ax.invert_yaxis()
    ax.set_xlim(0, max(hours for _name, hours in rows) / 1e3 * 1.1)
    ax.set_xlabel(_("Hours of one H800 card (thousands)"))
    whole = sum(stage_hours.values())
    percent = number(100 * bill.share_frac(added_hours, whole), 2)
    return conclude(
        ax,
        _("Learning to reason added {percent} % to the hours of V3", percent=percent),
        _(
            "Four bars. Pretraining takes most of the {whole} thousand hours of V3; "
            "R1 added {added} thousand, {percent} %.",
            whole=number(whole / 1e3, 4),
            added=number(added_hours / 1e3),
            percent=percent,
        ),
    )


def plot_claim(
    price_per_hour_usd: float = 2.0,
    hours_factor: float = 1.0,
    other_usd: float = published.PRESS_OTHER_USD,
) -> Axes:
    """How often V3's bill fits into another one, as the rent of a card changes.

    Args:
        price_per_hour_usd: rent of one card for an hour.
        hours_factor: all hours spent, divided by the hours that are reported.
        other_usd: the bill that V3's is compared with.
    """
    ax = axes()

    def ratio(price: float, times: float) -> float:
        own = published.V3.machine_hours * price * times
        return bill.times_cheaper(other_usd, own)

    for times in FACTORS_SHOWN:
        ratios = [ratio(price, times) for price in PRICES_SHOWN]
        ax.plot(PRICES_SHOWN, ratios, color=COLOURS["quiet"], linewidth=1.2)
        name = _("{n} × hours", n=int(times))
        label_right(ax, PRICES_SHOWN[-1], ratios[-1], name, COLOURS["quiet"])
    ax.axhline(18, color=COLOURS["green"], linewidth=1.2, linestyle="--")
    label_right(ax, PRICES_SHOWN[-1], 18, _('the "1/18"'), COLOURS["green"])
    here = ratio(price_per_hour_usd, hours_factor)
    ax.plot(price_per_hour_usd, here, "o", color=COLOURS["orange"], markersize=11)
    ax.set_xlim(PRICES_SHOWN[0], PRICES_SHOWN[-1])
    ax.set_yscale("log")
    ax.set_ylim(1, 60)
    ax.set_yticks(RATIOS_SHOWN, [str(each) for each in RATIOS_SHOWN])
    ax.minorticks_off()
    ax.set_xlabel(_("Rent of one card (dollars an hour)"))
    ax.set_ylabel(_("Times cheaper"))
    words = {
        "price": f"{price_per_hour_usd:.2f}",
        "factor": number(hours_factor),
        "other": number(other_usd / 1e6),
        "ratio": number(here),
    }
    return conclude(
        ax,
        _(
            "At ${price} an hour, {factor} × the reported hours, against ${other} "
            "million: {ratio} times cheaper",
            **words,
        ),
        _(
            "Three falling lines, for 1, 2 and 4 times the reported hours. The dot "
            "is at ${price} an hour and {factor} times the hours, against ${other} "
            "million: {ratio} times cheaper. A dashed line marks 18.",
            **words,
        ),
    )


def plot_ledger(mine: ledger.Ledger, other_kwh: float, other_name: str) -> Axes:
    """Your energy beside that of a large training run, on a scale of tens."""
    ax = axes(height_in=2.2)
    own_kwh = ledger.total(mine).energy_kwh
    rows = [(other_name, other_kwh, "green")]
    if own_kwh > 0:
        rows.append((_("your ledger"), own_kwh, "blue"))
    for row, (_name, kwh, colour) in enumerate(rows):
        dot(ax, kwh, row, energy(kwh), COLOURS[colour])
    values = [kwh for _name, kwh, _colour in rows]
    rows_on_tens(ax, [name for name, _kwh, _colour in rows], values)
    ax.set_xlabel(_("Energy (kWh, logarithmic scale)"))
    words = {"own": energy(own_kwh), "other": energy(other_kwh), "name": other_name}
    if not own_kwh:
        title = _("Your ledger is still empty. {name}: {other}", **words)
        return conclude(ax, title, title)
    return conclude(
        ax,
        _(
            "Your ledger holds {own}. {name}: {ratio} times as much",
            ratio=number(other_kwh / own_kwh),
            **words,
        ),
        _("Two dots: your ledger, {own}; {name}, {other}.", **words),
    )
