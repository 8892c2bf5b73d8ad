"""The pictures of lab 07: titles are computed, and nothing is claimed too early."""

from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes

from sparrow.evaluate.intervals import Interval
from sparrow.viz import lab07, policy, search_tree

TRIES = ["3+7=10,10*8=80", "3+7=10,10+8=18", "3*7=21,21+8=29"]


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def written(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


# ---- a tree


def test_tries_that_begin_alike_share_their_first_branch() -> None:
    ax = search_tree.plot_tree((3, 7, 8), 29, TRIES)
    assert title_of(ax) == "3 7 8, target 29: 3 tries, 2 of them given up"
    assert written(ax).count("3+7=10") == 1
    assert "21+8=29 ✓" in written(ax)
    assert "10*8=80 ✗" in written(ax)


def test_a_tree_that_never_arrives_says_so() -> None:
    ax = search_tree.plot_tree((3, 7, 8), 29, TRIES[:2])
    assert title_of(ax) == "3 7 8, target 29: 2 tries, and none arrives"


def test_a_tree_without_tries_is_drawn_too() -> None:
    ax = search_tree.plot_tree((3, 7, 8), 29, [])
    assert title_of(ax) == "3 7 8, target 29: no try is written down"


@pytest.mark.parametrize(
    "line",
    ["", ",", "=", "3+7", "3+7=", "3+7=1²", "3+7=$x$", "=" * 500, "3+7=" + "9" * 99],
)
def test_whatever_a_model_writes_can_be_drawn(line: str) -> None:
    ax = search_tree.plot_tree((3, 7, 8), 29, [line])
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw_idle()
    assert "none arrives" in title_of(ax)


def test_only_so_many_tries_are_drawn_and_all_are_counted() -> None:
    tries = [f"3+7=10,10+{n}={10 + n}" for n in range(20, 60)]
    ax = search_tree.plot_tree((3, 7, 8), 29, tries)
    assert "40 tries" in title_of(ax)
    assert len(written(ax)) == 2 + search_tree.MOST_TRIES


# ---- a token


def test_clipping_is_drawn_with_its_own_bounds() -> None:
    ax = policy.plot_clipping(0.2, 0.28)
    assert "above 1.28" in title_of(ax)
    good, bad = (line.get_ydata() for line in ax.lines[:2])
    assert max(good) == pytest.approx(1.28)
    assert max(bad) == pytest.approx(-0.8)
    assert min(bad) == pytest.approx(-2.0)


def test_weights_of_tokens_are_those_of_the_losses() -> None:
    assert policy.token_weights("grpo", [2, 8]) == pytest.approx([1 / 4, 1 / 16])
    assert policy.token_weights("dapo", [2, 8]) == pytest.approx([1 / 10] * 2)
    assert policy.token_weights("dr_grpo", [2, 8]) == pytest.approx([1 / 16] * 2)
    assert "weighs 4.0 times one of 8 in grpo, 1.0 times" in title_of(
        policy.plot_weights([2, 8])
    )


# ---- what reward did

BEFORE, AFTER = [True] * 3 + [False] * 7, [True] * 6 + [False] * 4


def gain(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 10)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (gain(0.1, 0.5), "Reward alone: +30 points, between +10 and +50"),
        (gain(-0.1, 0.5), "No gain can be told: between -10 and +50 points"),
        (gain(-0.5, -0.1), "It became worse: -30 points, between -50 and -10"),
    ],
)
def test_a_gain_is_claimed_only_where_its_interval_is_above_zero(
    found: Interval, says: str
) -> None:
    assert title_of(lab07.plot_solved(BEFORE, AFTER, found)) == says


@pytest.mark.parametrize("guess", [50, None, "fifty", 5000, True])
def test_any_guess_can_be_drawn(guess: object) -> None:
    ax = lab07.plot_solved(BEFORE, AFTER, gain(0.1, 0.5), guess)
    assert ("your guess" in written(ax)) == (guess == 50)


def test_runs_above_zero_are_named() -> None:
    gains = {"one": gain(0.1, 0.3), "random": gain(-0.1, 0.1)}
    assert title_of(lab07.plot_gains(gains)) == "Above zero: one"
    assert title_of(lab07.plot_gains({"random": gain(-0.1, 0.1)})) == (
        "No run is above zero"
    )


@pytest.mark.parametrize("values", [[20.0] * 10 + [30.0] * 90, [20.0, 30.0], [20.0]])
def test_lengths_are_told_from_first_to_last(values: Sequence[float]) -> None:
    says = f"run: from 20 to {values[-1]:.0f}"
    assert says in title_of(lab07.plot_lengths({"run": values}))


def test_backtracks_are_counted_for_both() -> None:
    ax = lab07.plot_backtracks([0, 0, 1, 1], [2, 3])
    assert title_of(ax) == "An answer gives up 0.5 tries before, 2.5 after"
