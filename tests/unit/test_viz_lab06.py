"""The pictures of lab 06 say their conclusion, computed, in words for all."""

import pytest
import torch

from sparrow.data.packing import Packed
from sparrow.evaluate.intervals import wilson_interval
from sparrow.rl.doses import Dose
from sparrow.rl.gate import Gate
from sparrow.train.examples import Example, pack_whole
from sparrow.viz import lab06
from sparrow.viz.style import show


def title_of(ax) -> str:
    return ax.get_figure().get_suptitle().replace("\n", " ")


def packed() -> Packed:
    one = Example((1, 7, 0, 2), (8, 9))
    return pack_whole([one, one, one], 16, assistant=2, end=0)


def gate_of(right: int, entropy: float = 0.2) -> Gate:
    return Gate(
        pass1=wilson_interval(right, 512),
        pass8=wilson_interval(51, 64),
        entropy=entropy,
        degenerate_frac=0.25,
    )


def dose(way: str, step: int, pass8: float) -> Dose:
    return Dose(
        way=way,
        seed=1,
        step=step,
        pass1=0.25,
        pass8=pass8,
        entropy=0.2,
        degenerate_frac=0.3,
        groups=64,
        solved=40,
        asked=200,
        loss=0.3,
    )


def test_learned_tokens_are_counted() -> None:
    learned = torch.tensor([False, False, True, True])
    ax = lab06.plot_learned(["<|user|>", "7", "8", "\n"], learned)
    assert "2 of 4 tokens are learned" in title_of(ax)
    assert r"'8\n'" in ax.get_label()


def test_packed_places_are_shared_out() -> None:
    """Three conversations of 7 tokens in 2 rows of 16: 9 learned, 12 read, 11 empty."""
    assert (
        title_of(lab06.plot_packed(packed()))
        == "28% of the places are learned, 38% only read, 34% left empty"
    )


@pytest.mark.parametrize(("last", "said"), [(0.3, "above"), (0.05, "is met")])
def test_the_floor_is_above_or_met(last: float, said: str) -> None:
    assert said in title_of(lab06.plot_openness([10, 20], [0.9, last], 0.1))


@pytest.mark.parametrize("guess", [None, 30, "x", 1e9])
def test_any_guess_leaves_a_picture(guess: object) -> None:
    solved = {0: [False] * 4, 100: [True, False, False, True]}
    ax = lab06.plot_solved(solved, guess)
    assert "from 0% to 50% solved in 100 steps" in title_of(ax)


def test_the_best_and_the_worst_way_are_named() -> None:
    ways = {
        "answers": [dose("answers", 0, 0.0), dose("answers", 400, 0.8)],
        "few": [dose("few", 0, 0.0), dose("few", 400, 0.4)],
    }
    ax = lab06.plot_doses(ways, {"answers": "all", "few": "few traces"})
    assert title_of(ax).endswith("most with: all (80%); least with: few traces (40%)")
    assert "400 steps" in ax.get_label()


def test_a_gate_is_open_or_says_how_much_is_outside() -> None:
    assert "is open" in title_of(lab06.plot_gate(gate_of(150)))
    assert "2 of 4" in title_of(lab06.plot_gate(gate_of(20, entropy=0.01)))


def test_every_picture_can_be_drawn() -> None:
    for ax in (
        lab06.plot_packed(packed()),
        lab06.plot_openness([10, 20], [0.9, 0.4], 0.1),
        lab06.plot_gate(gate_of(150)),
    ):
        assert show(ax).alt
