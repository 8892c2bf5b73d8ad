"""The pictures of lab 08: titles are computed, and nothing is claimed too early."""

import pytest
import torch
from matplotlib.axes import Axes

from sparrow.distill.recorded import RecordedRun
from sparrow.evaluate.intervals import Interval
from sparrow.viz import lab08
from sparrow.viz.style import show


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def run_of(size: str, flops: float, rights: int) -> RecordedRun:
    return RecordedRun(
        size=size,
        way="hard",
        seed=1,
        steps=9,
        written=1,
        learned=1,
        flops=flops,
        seconds=1.0,
        rights=(rights, 4),
    )


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 200)


def test_what_is_kept_is_told_in_numbers() -> None:
    ax = lab08.plot_kept(3000, 2700, 2500)
    assert title_of(ax) == "2,500 of 3,000 answers become lessons; 90% are right"
    assert show(ax).alt.startswith("Three bars")


def test_who_covers_how_much_of_the_teacher_is_computed() -> None:
    teacher = torch.tensor([0.5, 0.0, 0.5])
    both, one = torch.tensor([0.4, 0.2, 0.4]), torch.tensor([1.0, 0.0, 0.0])
    ax = lab08.plot_hills(teacher, {"wide": both, "narrow": one})
    assert title_of(ax) == (
        "wide covers 100% of the teacher; narrow covers 50% of the teacher"
    )


@pytest.mark.parametrize("piece", ["7", "\n", "", "$x$", "=" * 99])
def test_whatever_a_teacher_writes_can_be_drawn(piece: str) -> None:
    ax = lab08.plot_apart([piece, "8"], torch.tensor([2.0, 0.1]))
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw_idle()
    assert title_of(ax) == "At 1 of 2 tokens they are more than 0.5 nats apart"


@pytest.mark.parametrize("guess", [70, 5000, None, True, "seventy"])
def test_any_guess_can_be_drawn_beside_the_ways(guess: object) -> None:
    ways = {
        "by reward": [run_of("short", 3e12, 2), run_of("long", 1e13, 3)],
        "taught": [run_of("short", 2e12, 3)],
    }
    ax = lab08.plot_ways(ways, (3e12, [1.0, 0.5]), guess)
    assert title_of(ax) == (
        "Your student is right in 75% of its answers for 3.0e+12 sums"
    )
    assert "by reward 75% for 3.0e+12" in show(ax).alt
    said = [text.get_text() for text in ax.texts]
    assert ("your guess" in said) == (guess == 70)


def test_a_difference_counts_only_where_its_interval_leaves_zero() -> None:
    found = {
        "one": interval(0.1, 0.2),
        "two": interval(-0.1, 0.1),
        "three": interval(-0.3, -0.1),
    }
    ax = lab08.plot_differences(found, "taught", "by reward")
    assert title_of(ax) == (
        "taught is better in 1 of 3 comparisons, by reward in 1; 1 cannot be told"
    )


@pytest.mark.parametrize(
    ("taught_s", "says"),
    [(5.0, "from 5 students on"), (9.0, "from 21 students on"), (10.0, "never takes")],
)
def test_from_how_many_students_on_it_pays_is_computed(
    taught_s: float, says: str
) -> None:
    assert says in title_of(lab08.plot_students(20.0, 10.0, taught_s))
