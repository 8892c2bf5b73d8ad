"""The pictures of lab 05: titles are computed, and nothing is claimed too early."""

import pytest
from matplotlib.axes import Axes

from sparrow.evaluate import Interval, Point, wilson_interval
from sparrow.viz import lab05, widgets


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def test_the_widest_interval_names_the_doubt() -> None:
    shares = {"R1": wilson_interval(24, 30), "A": wilson_interval(237, 500)}
    ax = lab05.plot_shares(shares)
    assert title_of(ax) == "R1: 30 questions leave 28 points of doubt"
    assert "A 47.4% (43.1% to 51.8%, n = 500)" in str(ax.get_label())
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows == ["A, n = 500", "R1, n = 30"]


def test_a_difference_around_zero_names_no_winner() -> None:
    found = {
        "a - b": Interval(0.05, -0.03, 0.13, 200),
        "c - d": Interval(0.2, 0.1, 0.3, 9),
    }
    ax = lab05.plot_differences(found)
    assert title_of(ax) == "1 of 2 comparisons cannot distinguish the two"
    assert "a - b: +5.0 points (-3.0 to +13.0, n = 200)" in str(ax.get_label())
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["+5.0"] != colours["+20.0"]


def test_differences_away_from_zero_are_told() -> None:
    ax = lab05.plot_differences({"c - d": Interval(-0.2, -0.3, -0.1, 40)})
    assert title_of(ax) == "Every difference here can be told from zero"


def points(*shares: float) -> list[Point]:
    return [
        Point(2**at, 40.0 * 2**at, Interval(share, share - 0.1, share + 0.1, 200))
        for at, share in enumerate(shares)
    ]


def test_curves_tell_what_more_tokens_buy() -> None:
    ax = lab05.plot_curves({"vote": points(0.3, 0.4), "verifier": points(0.3, 0.6)})
    assert title_of(ax) == "2 times the tokens: by verifier, 30% becomes 60% (n = 200)"
    assert "vote 30% with one sample, 40% (30% to 50%) with 2" in str(ax.get_label())
    assert [text.get_text() for text in ax.texts] == ["vote", "verifier"]


def test_names_of_equal_ends_do_not_touch() -> None:
    ax = lab05.plot_curves({"one": points(0.3, 0.5), "other": points(0.3, 0.5)})
    one, other = (text.xy[1] for text in ax.texts)  # type: ignore[attr-defined]
    assert abs(one - other) >= 0.05


def test_the_chance_to_see_a_gain_grows_with_questions() -> None:
    few, many = (lab05.chance_seen(0.03, 0.2, n) for n in (100, 5000))
    assert few < 0.15
    assert many > 0.99
    # with no gain it is the 5 % that the interval promises to be wrong
    assert lab05.chance_seen(0.0, 0.2, 500) == pytest.approx(0.05)


def test_power_is_told_with_the_questions_that_are_enough() -> None:
    ax = lab05.plot_power(3, 0.2, 500)
    assert (
        title_of(ax)
        == "A true gain of 3 points: 500 questions see it in 32% of evaluations"
    )
    assert "About 1,778 questions" in str(ax.get_label())
    assert "Not even 10,000" in str(lab05.plot_power(0.1, 0.45, 30).get_label())


def test_a_gain_larger_than_the_disagreement_is_drawn_too() -> None:
    assert "5 points" in title_of(lab05.plot_power(20, 0.05, 30))


def test_the_knobs_show_a_picture_of_their_values() -> None:
    knobs = widgets.power_knobs()
    assert set(knobs.sliders) == {"gain_points", "differ_frac", "questions"}
    knobs.sliders["questions"].value = 2000
    assert "2000 questions see it" in knobs.still.alt
