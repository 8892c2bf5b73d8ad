"""The pictures of lab 09: titles are computed, and nobody is called equal too early."""

import pytest
import torch
from matplotlib.axes import Axes

from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.quantized import Row
from sparrow.evaluate.quantized_runs import QuantizedRun, shipped
from sparrow.viz import lab09
from sparrow.viz.style import show

CLAIM = {"bits": 5.0, "right": -0.01, "right_low": -0.03, "right_high": 0.01}


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw_idle()
    return " ".join(figure.get_suptitle().split())


def run_of(scheme: str, size: int, change: float, half: float) -> QuantizedRun:
    read = Interval(change, change - half, change + half, 200)
    right = Interval(-change, -change - half, -change + half, 200)
    share = Interval(0.8, 0.7, 0.9, 200)
    row = Row(scheme, size, 8 * size / 1e6, 1.1, read, share, right)
    return QuantizedRun("pico-r1", row, 50.0, "a machine, a day")


RUNS = [
    run_of("fp32", 4_000_000, 0.0, 0.0),
    run_of("int8", 1_000_000, 0.001, 0.002),
    run_of("worse-int8", 1_200_000, 0.002, 0.004),
    run_of("int4", 600_000, 0.02, 0.005),
]


def test_the_smallest_that_cannot_be_told_is_in_the_title() -> None:
    ax = lab09.plot_pareto(RUNS)
    assert title_of(ax) == (
        "pico-r1: int8 cannot be told from fp32, at 8.0 bits a weight"
    )
    assert "int4, 50/s: 0.6 MB, +1.50 … +2.50 %" in show(ax).alt
    assert "a machine, a day" in ax.get_xlabel()  # speeds belong to both


def test_where_all_can_be_told_the_title_says_so() -> None:
    assert title_of(lab09.plot_pareto([RUNS[0], RUNS[3]])) == (
        "pico-r1: all can be told from fp32"
    )
    assert lab09.smallest_same(RUNS[3:]) is None


def test_beaten_is_who_is_nowhere_better() -> None:
    assert [lab09.is_beaten(each, RUNS) for each in RUNS] == [False, False, True, False]


@pytest.mark.parametrize("model", ["pico-r1", "smollm2"])
def test_what_is_shipped_can_be_drawn(model: str) -> None:
    runs = shipped(model)
    assert runs[0].is_original
    assert title_of(lab09.plot_pareto(runs)).startswith(model)


def test_errors_are_told_as_a_part_of_those_of_rounding() -> None:
    ax = lab09.plot_errors({"gptq": [0.1, 0.2, 1.5], "awq": [0.9, 1.0, 1.0]}, "gptq")
    assert title_of(ax) == (
        "gptq leaves 20% of the error in the middle of 3 matrices, and is worse in 1"
    )
    assert "awq 0.90 to 1.00" in show(ax).alt


def test_a_grid_is_told_by_its_mean_error() -> None:
    weights = torch.tensor([0.1, 0.2])
    grids = {"coarse": (torch.tensor([0.0, 1.0]), torch.zeros(2))}
    assert (
        title_of(lab09.plot_grids(weights, grids))
        == "Lost of a weight's size: coarse: 100.0%"
    )


@pytest.mark.parametrize("guess", [90, 5000, None, True, "ninety"])
def test_any_guess_can_be_drawn_beside_the_claim(guess: object) -> None:
    ax = lab09.plot_claim(RUNS, CLAIM, guess)
    assert title_of(ax) == (
        "Your model: 5.00 bits a weight, -1.0 points of right answers (-3.0 to +1.0)"
    )
    said = [text.get_text() for text in ax.texts]
    assert ("your guess" in said) == (guess == 90)


def test_what_is_not_claimed_yet_is_left_out() -> None:
    ax = lab09.plot_claim(RUNS, {**CLAIM, "right_low": None}, 90)
    assert title_of(ax) == "There is no claim of yours yet"
