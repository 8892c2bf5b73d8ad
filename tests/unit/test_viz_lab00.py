"""The pictures of lab 00: titles are computed, each has words for who cannot see."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from sparrow.cost import ledger, published
from sparrow.cost.measure import Measured
from sparrow.viz import lab00, style, tables, widgets, words

SPEED = Measured(
    median=1e11, low=0.9e11, high=1.1e11, values=(0.9e11, 1e11, 1e11, 1.1e11)
)
ENTRY = ledger.Entry(
    stage="lab 00",
    cpu_s=3600.0,
    power_w=10.0,
    tariff_per_kwh=0.2,
    grid_g_per_kwh=500.0,
    assumed=("power_w",),
)


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def test_the_title_of_the_repeats_is_the_measured_speed() -> None:
    ax = lab00.plot_repeats(SPEED)
    assert (
        title_of(ax)
        == "This machine does 100 GFLOP/s (95 % interval 90 to 110, 4 repeats)"
    )
    assert len(ax.lines[1].get_xdata()) == 4


def test_the_guess_is_compared_with_the_machine() -> None:
    ax = lab00.plot_years(1000.0, [0.9e6, 1e6, 1.1e6], 54.2, 2048)
    assert title_of(ax).endswith(
        "1 million years; your guess is off by a factor of 1,000"
    )


def test_without_a_guess_only_the_machine_and_the_cluster_are_shown() -> None:
    ax = lab00.plot_years(None, [0.9e6, 1e6, 1.1e6], 54.2, 2048)
    assert title_of(ax) == "This machine would need 1 million years"
    assert len(ax.get_yticks()) == 2


@pytest.mark.parametrize("guess", [0, "many", float("nan")])
def test_a_guess_that_no_scale_of_tens_can_show_is_left_out(guess: Any) -> None:
    ax = lab00.plot_years(guess, [0.9e6, 1e6, 1.1e6], 54.2, 2048)
    assert title_of(ax) == "This machine would need 1 million years"


def test_the_share_of_reasoning_is_computed_from_the_hours() -> None:
    hours = published.V3.stage_hours
    assert "5.3 %" in title_of(lab00.plot_stages(hours, 147e3))
    assert "11 %" in title_of(lab00.plot_stages(hours, 294e3))


def test_the_claim_says_its_own_ratio() -> None:
    assert title_of(lab00.plot_claim()).endswith("17.9 times cheaper")
    assert title_of(lab00.plot_claim(hours_factor=2.0)).endswith("8.97 times cheaper")


def test_an_empty_ledger_still_makes_a_picture() -> None:
    ax = lab00.plot_ledger(ledger.Ledger(currency="USD"), 1.0, "V3")
    assert title_of(ax) == "Your ledger is still empty. V3: 1 kWh"


def test_a_picture_carries_its_words_and_is_the_same_each_time() -> None:
    first, second = (style.show(lab00.plot_repeats(SPEED)) for _each in range(2))
    assert first == second
    assert 'alt="4 dots, one for each repeat' in first.html()
    assert "http" not in first.html()


def test_turning_a_knob_draws_again() -> None:
    knobs = widgets.claim_knobs()
    before = knobs.picture.value
    knobs.sliders["hours_factor"].value = 2.0
    assert knobs.picture.value != before
    assert "8.97" in knobs.still.alt
    assert len(knobs.sliders) <= 3


def test_the_widget_shows_a_still_picture_where_nothing_can_move() -> None:
    bundle = widgets.claim_knobs()._repr_mimebundle_()
    assert bundle["text/html"].startswith("<img alt=")


def test_a_table_escapes_what_it_is_given() -> None:
    table = tables.Table(headers=["<b>"], rows=[["a & b"]])
    assert "<b>" not in table._repr_html_()
    assert "a &amp; b" in table._repr_html_()


def test_the_ledgers_table_names_what_is_only_assumed() -> None:
    mine = ledger.Ledger(currency="KES").add(ENTRY)
    text = str(tables.ledger_table(mine))
    assert "power_w" in text
    assert "Money (KES)" in text
    assert "10 Wh" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.0031, "0.0031"),
        (17.93, "17.9"),
        (2788, "2,790"),
        (1.04e6, "1.04 million"),
        (9.56e9, "9.56 billion"),
        (3.29e24, "3.29e+24"),
    ],
)
def test_numbers_read_as_people_say_them(value: float, expected: str) -> None:
    assert words.number(value) == expected


def test_the_words_need_no_drawing_library() -> None:
    source = Path(words.__file__).read_text(encoding="utf-8")
    assert "matplotlib" not in source
