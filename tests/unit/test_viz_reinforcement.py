"""A run of reinforcement learning as people see it: table, curves, and log lines."""

import dataclasses
from typing import Any

import IPython.display
import pytest
from rich.console import Console

from sparrow.rl.metrics import Exam, Rollouts
from sparrow.viz import reinforcement

STEP = Rollouts(
    step=1,
    reward=0.25,
    correctness=0.25,
    format=1.0,
    legality=0.9,
    length=30.0,
    backtracks=0.5,
    unfinished_frac=0.0,
    entropy=0.2,
    degenerate_frac=0.25,
    answers=256,
    learned=192,
    kl=0.0,
    clip_low_frac=0.0,
    clip_high_frac=0.01,
    loss=0.0,
    gradient_norm=0.3,
    learning_rate=2e-4,
    seconds=2.0,
    tokens_per_s=9000.0,
)
EXAM = Exam(
    step=0,
    pass1=0.375,
    low=0.311,
    high=0.444,
    problems=200,
    length=33.0,
    backtracks=0.6,
    seconds=0.0,
)


def steps(count: int) -> list[Rollouts]:
    return [
        dataclasses.replace(
            STEP,
            step=number,
            reward=0.25 + 0.5 * number / count,
            length=30 + number,
            seconds=2.0 * number,
        )
        for number in range(1, count + 1)
    ]


def test_the_dashboard_shows_every_measure_and_what_is_left() -> None:
    board = reinforcement.Dashboard(100)
    board(EXAM)
    for each in steps(50):
        board(each)
    console = Console(width=100, record=True)
    console.print(board)
    shown = console.export_text()
    assert "Step 50 of 100" in shown
    assert "2 min left" in shown
    for name, _value, _form in reinforcement.measures():
        assert name in shown
    assert "37.5% of 200 held-out problems" in shown
    assert "95 % interval 31.1% to 44.4%" in shown
    assert "<table>" in board._repr_html_()


def test_before_the_first_step_it_says_so() -> None:
    board = reinforcement.Dashboard(10)
    assert board.rows() == []
    assert "Before the first step" in board._repr_html_()


def test_in_a_notebook_it_moves_and_then_stands_still(monkeypatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    with reinforcement.watching(10) as tell:
        tell(EXAM)
        tell(STEP)
        assert "Step 1 of 10" in shown[0].value
    assert isinstance(shown[1], reinforcement.Dashboard)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([0.0, 0.5, 1.0], "▁▅█"), ([0.3, 0.3], "▁▁"), ([1.0, 0.0], "█▁")],
)
def test_a_small_curve_goes_from_its_lowest_to_its_highest(values, drawn) -> None:
    assert reinforcement.curve(values) == drawn


def test_in_a_log_file_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with reinforcement.live(10) as tell:
        tell(EXAM)
        tell(STEP)
        tell(dataclasses.replace(STEP, step=2))  # too soon after the one before
    told = capsys.readouterr().err
    assert "Step 0: 37.5% of 200" in told
    assert "Step 1 of 10" in told
    assert "Step 2 of 10" not in told


def test_the_learning_curve_says_what_was_gained() -> None:
    later = dataclasses.replace(EXAM, step=40, pass1=0.8, low=0.74, high=0.85)
    ax = reinforcement.learning_curve(steps(40), [EXAM, later])
    title = str(ax.get_label())
    assert "from 38% to 80% in 40 steps" in title
    assert "200 problems" in title
    assert "step" in ax.get_xlabel()


def test_without_an_examination_the_reward_is_told() -> None:
    title = reinforcement.learning_curve(steps(40), []).get_label()
    assert "Reward went from" in str(title)


def test_the_length_curve_tells_how_answers_grew() -> None:
    ax = reinforcement.length_curve(steps(40))
    assert "Answers went from 31 to" in str(ax.get_label())
    assert ax.get_ylim()[0] == 0
