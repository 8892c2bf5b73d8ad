"""Knobs to turn: at most three, an answer in 200 ms, and a still picture for paper."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes

from sparrow.cost import published
from sparrow.language import _
from sparrow.viz import lab00, lab02, lab03, lab05
from sparrow.viz.style import show

__all__ = ["Knobs", "balance_knobs", "cache_knobs", "claim_knobs", "power_knobs"]

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Knobs:
    """Sliders under a picture; where nothing can move, the picture alone.

    Args:
        draw: makes the Axes from the sliders' values, by name.
        sliders: ipywidgets sliders by the argument of `draw` that they set.
    """

    def __init__(self, draw: Callable[..., Axes], sliders: dict[str, Any]) -> None:
        import ipywidgets

        self.draw, self.sliders = draw, sliders
        self.picture = ipywidgets.HTML()
        self.box = ipywidgets.VBox([*sliders.values(), self.picture])
        self._redraw(None)
        for slider in sliders.values():
            slider.observe(self._redraw, names="value")

    def _redraw(self, _change: object) -> None:
        values = {name: slider.value for name, slider in self.sliders.items()}
        self.still = show(self.draw(**values))
        self.picture.value = self.still.html()

    def _repr_mimebundle_(self, **options: object) -> dict[str, Any]:
        moving = self.box._repr_mimebundle_(**options)
        bundle = moving[0] if isinstance(moving, tuple) else moving
        return {WIDGET_VIEW: bundle[WIDGET_VIEW], **self.still._repr_mimebundle_()}


def claim_knobs() -> Knobs:
    """Turn the three assumptions behind "1/18 of the cost"."""
    import ipywidgets

    def slider(text: str, value: float, low: float, high: float, step: float) -> Any:
        return ipywidgets.FloatSlider(
            value=value, min=low, max=high, step=step, description=text, **wide()
        )

    millions = slider(
        _("Other bill (million dollars)"),
        published.PRESS_OTHER_USD / 1e6,
        50,
        150,
        10,
    )
    millions.readout_format = ".0f"

    def draw(price: float, hours_factor: float, other_musd: float) -> Axes:
        return lab00.plot_claim(price, hours_factor, other_musd * 1e6)

    return Knobs(
        draw,
        {
            "price": slider(_("Dollars an hour"), 2.0, 1.0, 4.0, 0.1),
            "hours_factor": slider(_("Hours (× the reported)"), 1.0, 1.0, 4.0, 0.25),
            "other_musd": millions,
        },
    )


def cache_knobs(machine_gib: float | None = None) -> Knobs:
    """Turn heads, latent and context, and see what the cache of one text needs.

    Args:
        machine_gib: memory of this machine, to compare with; None draws no line.
    """

    def steps(text: str, value: int, low: int, high: int) -> Any:
        """A slider over the powers of two."""
        return choose(text, value, {f"{2**n:,}": 2**n for n in range(low, high + 1)})

    def draw(heads: int, latent: int, context_tokens: int) -> Axes:
        return lab02.plot_cache_sizes(heads, latent, context_tokens, machine_gib)

    return Knobs(
        draw,
        {
            "heads": steps(_("Heads"), 128, 0, 8),
            "latent": steps(_("Features of the latent"), 512, 5, 12),
            "context_tokens": steps(_("Tokens of the text"), 32_768, 10, 17),
        },
    )


def balance_knobs() -> Knobs:
    """Turn the speed of the bias, and see whether it balances, crawls or swings."""
    speeds = {"0": 0.0, "0.0001": 0.0001, "0.001": 0.001, "0.01": 0.01, "0.1": 0.1}
    leans = {_("not at all"): 0.0, _("somewhat"): 1.0, _("strongly"): 3.0}
    tokens = {f"{each:,}": each for each in (32, 128, 512)}
    return Knobs(
        lab03.plot_balancing,
        {
            "speed": choose(_("Speed of the bias"), 0.001, speeds),
            "lean": choose(_("Tokens lean to one side"), 1.0, leans),
            "tokens": choose(_("Tokens of a step"), 512, tokens),
        },
    )


def power_knobs() -> Knobs:
    """Turn the true gain, the disagreement and n: would the evaluation see it?"""
    points = {str(each): float(each) for each in (1, 2, 3, 5, 8, 12, 20)}
    shares = {f"{each} %": each / 100 for each in (5, 10, 20, 30, 45)}
    asked = {f"{each:,}": each for each in (30, 100, 200, 500, 1000, 2000, 5000)}
    return Knobs(
        lab05.plot_power,
        {
            "gain_points": choose(_("True gain (points)"), 3.0, points),
            "differ_frac": choose(_("They disagree on"), 0.2, shares),
            "questions": choose(_("Questions you ask"), 500, asked),
        },
    )


def choose(text: str, value: float, options: Mapping[str, float]) -> Any:
    """A slider over values that have names."""
    import ipywidgets

    return ipywidgets.SelectionSlider(
        options=list(options.items()), value=value, description=text, **wide()
    )


def wide() -> dict[str, Any]:
    """Room for a description of several words."""
    import ipywidgets

    return {
        "style": {"description_width": "15em"},
        "layout": ipywidgets.Layout(width="34em"),
    }
