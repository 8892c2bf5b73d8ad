"""The pictures of lab 02: titles are computed, and the widget has a still picture."""

from typing import Any

import pytest
from matplotlib.axes import Axes

from sparrow.cost import published
from sparrow.cost.measure import Measured
from sparrow.viz import lab02, two_sides, widgets

QUERIES = {"A": [1.0, 1.0], "B": [2.0, 1.0]}
MATRICES = {"A": [[1.0, 2.0], [0.0, 1.0]], "B": [[1.0, 0.0], [1.0, -1.0]]}
LATENTS = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def seconds(median: float) -> Measured:
    return Measured(median=median, low=median / 2, high=median * 2, values=(median,))


def test_both_sides_count_what_each_makes() -> None:
    ax = two_sides.plot_both_sides(QUERIES, MATRICES, LATENTS)
    assert "rebuild 12 numbers for the keys, or carry 4" in title_of(ax)
    longer = two_sides.plot_both_sides(QUERIES, MATRICES, [*LATENTS, [2.0, 2.0]])
    assert "rebuild 16 numbers for the keys, or carry 4" in title_of(longer)


def test_both_sides_draw_the_same_scores_twice() -> None:
    ax = two_sides.plot_both_sides(QUERIES, MATRICES, LATENTS)
    written = [text.get_text() for text in ax.texts]
    assert written.count("-2") == 3  # twice as a score, once in a rebuilt key
    assert written.count("no keys") == 2


def test_the_guess_and_the_ratio_are_in_the_title() -> None:
    ax = lab02.plot_token_bytes({"all": 1000.0, "latents": 10.0}, 20.0, "latents")
    assert (
        title_of(ax) == "latents: 10 bytes a token, 100.0 times less than all "
        "heads; your guess is off by a factor of 2"
    )
    assert "guess" not in title_of(
        lab02.plot_token_bytes({"all": 1000.0, "latents": 10.0}, None, "latents")
    )


@pytest.mark.parametrize("guess", [0, -1, "70 KB", float("inf"), True])
def test_a_guess_that_no_scale_of_tens_can_show_is_left_out(guess: Any) -> None:
    ax = lab02.plot_token_bytes({"all": 1000.0, "latents": 10.0}, guess, "latents")
    assert "guess" not in title_of(ax)
    assert len(ax.get_yticks()) == 2


def test_times_are_compared_at_the_longest_past() -> None:
    measured = {
        "keep": [seconds(0.002), seconds(0.02)],
        "rebuild": [seconds(0.1), seconds(0.5)],
        "absorb": [seconds(0.005), seconds(0.01)],
    }
    assert (
        title_of(lab02.plot_steps(measured, (8, 64)))
        == "After 64 tokens: absorb takes "
        "10 ms, keep 2 times as long, rebuild 50 times"
    )


def test_the_table_computes_the_trade() -> None:
    table = lab02.trade_table(published.V3_SHAPE)
    assert "71.1 times fewer" in table.caption
    assert "3.4 times as much" in table.caption


def test_one_head_has_nothing_to_share() -> None:
    assert "more than all heads" in title_of(lab02.plot_cache_sizes(heads=1))
    assert "71.1 times less" in title_of(lab02.plot_cache_sizes())


def test_the_knobs_draw_again_and_leave_a_still_picture() -> None:
    knobs = widgets.cache_knobs(machine_gib=16.0)
    assert len(knobs.sliders) == 3
    knobs.sliders["heads"].value = 16
    assert "8.9 times less" in knobs.still.alt
    assert knobs._repr_mimebundle_()["text/html"].startswith("<img alt=")
