"""The pictures of lab 10 say what is in them, whatever was guessed."""

import pytest

from sparrow.serve.bench import Answered
from sparrow.serve.rehearse import Frame
from sparrow.viz import lab10
from sparrow.viz.style import show

from .test_viz_lab09 import title_of

FRAMES = [
    Frame(step=0, blocks=8, table={}, known=frozenset(), waiting=2),
    Frame(
        step=1,
        blocks=8,
        table={0: [0, 1], 1: [0, 2]},
        known=frozenset([0, 5]),
        waiting=0,
    ),
    Frame(step=2, blocks=8, table={1: [0, 2]}, known=frozenset([0, 5]), waiting=0),
]


def test_the_busiest_step_is_in_the_title_and_every_step_is_told() -> None:
    ax = lab10.plot_pages(FRAMES)
    assert title_of(ax) == (
        "At step 1, 2 requests live in 3 of 8 blocks; 1 blocks have several readers"
    )
    alt = show(ax).alt
    assert "Step 0: 0 requests in 0 blocks, 2 wait" in alt
    assert "Step 2: 1 requests in 2 blocks, 0 wait, 1 blocks without" in alt


def test_blocks_move_with_the_slider_and_stand_still_on_paper() -> None:
    shown = lab10.watch_pages(FRAMES)
    before = shown.picture.value
    shown.slider.value = 2
    assert shown.picture.value != before
    assert "text/html" in shown._repr_mimebundle_()


@pytest.mark.parametrize("guess", [12, 0.5, None, True, "twelve", -3])
def test_any_guess_can_be_drawn_beside_the_crowds(guess: object) -> None:
    ax = lab10.plot_crowds({1: 100.0, 32: 1600.0}, guess)
    assert title_of(ax) == (
        "32 requests get 16.0 times the tokens of one, and each waits 2.0 times as "
        "long for a token"
    )
    said = " ".join(text.get_text() for text in ax.texts)
    assert ("your guess" in said) == (guess in (12, 0.5))


def test_waits_are_told_by_half_and_by_95_of_100() -> None:
    answers = [Answered(asked_s=0.0, pieces_s=[0.01 * n]) for n in range(1, 101)]
    ax = lab10.plot_waits({"Together": answers})
    assert title_of(ax) == "Together: half within 510 ms, 95 % within 950 ms"
