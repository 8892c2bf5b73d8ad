"""The pictures of lab 04: titles are computed from what is drawn."""

import pytest
import torch
from matplotlib.axes import Axes

from sparrow.data.packing import attention_mask, pack
from sparrow.viz import lab04
from sparrow.viz.style import show

NAMES = ["end", "a", "b", "c"]
ALONE = [3.0, 2.5, 2.25, 2.0]


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def test_rows_show_every_token_and_count_the_filling() -> None:
    ax = lab04.plot_rows(pack([[1, 2, 3], [2]], 4, 0), NAMES)
    assert title_of(ax) == "2 documents fill 6 of 8 places"
    written = [text.get_text() for text in ax.texts]
    assert written == ["a", "b", "c", "end", "b", "end", "end", "end"]


def test_the_mask_counts_its_pairs() -> None:
    document = torch.tensor([0, 0, 1])
    ax = lab04.plot_mask(attention_mask(document[None])[0, 0], document)
    assert title_of(ax) == "4 of 6 pairs are inside one document"
    assert len(ax.patches) == 4


def test_rates_say_where_they_are_level() -> None:
    ax = lab04.plot_rates([0.5, 1.0, 1.0, 1.0, 0.5, 0.25])
    assert title_of(ax) == "Level at 1 from step 1 to 3, then down to 0.25"


def test_lives_that_agree_say_so_and_count_what_was_computed_again() -> None:
    ax = lab04.plot_lives(ALONE, [(1, ALONE[:3]), (2, ALONE[1:])])
    assert (
        title_of(ax)
        == "Killed 1 times, 2 steps computed again: all 4 losses are equal to the "
        "last bit"
    )
    assert [text.get_text() for text in ax.texts] == [
        "killed after 3",
        "uninterrupted",
    ]


@pytest.mark.parametrize(
    ("lives", "same"),
    [
        ([(1, [3.0, 2.5, 2.25, 2.0000000001])], 3),
        ([(1, [3.0, 2.5]), (2, [2.6, 2.25, 2.0])], 3),
        ([(1, [3.0, 2.5])], 2),
    ],
)
def test_one_bit_or_a_missing_step_is_seen(
    lives: list[tuple[int, list[float]]], same: int
) -> None:
    assert f"{same} of 4 losses" in title_of(lab04.plot_lives(ALONE, lives))


def test_seeds_and_their_interval_are_in_the_words() -> None:
    ax = lab04.plot_seeds([2.0, 2.1, 2.2], 2.1, 1.85, 2.35)
    assert title_of(ax) == "2.10 bits a byte; 3 seeds say: between 1.85 and 2.35"
    assert "2.000, 2.100, 2.200" in show(ax).alt
