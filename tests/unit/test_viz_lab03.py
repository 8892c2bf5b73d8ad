"""The pictures of lab 03: titles are computed, and nothing is claimed too early."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from matplotlib.axes import Axes

from sparrow.evaluate.expert_runs import ExpertRun
from sparrow.evaluate.intervals import wilson_interval
from sparrow.train.balancing import balance_alone
from sparrow.train.held_out import Scored
from sparrow.viz import chosen, designs, lab03, waiting, widgets

SCORES = [[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.6, 0.1, 0.5]]


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def test_the_bias_moves_tokens_and_no_score() -> None:
    ax = chosen.plot_chosen(SCORES, [-0.3, 0.0, 0.0], chosen=1)
    assert (
        title_of(ax) == "The busiest expert had 3 tokens and has 1 now; a fair share "
        "is 1. No score has changed"
    )
    written = [text.get_text() for text in ax.texts]
    assert written.count("0.9") == 2
    assert written.count("-0.30") == 1


def test_only_experts_above_their_share_are_marked_as_busy() -> None:
    ax = chosen.plot_chosen(SCORES, [-0.3, 0.0, 0.0], chosen=1)
    loads = {text.get_color() for text in ax.texts if text.get_text() == "1"}
    (busy,) = (text for text in ax.texts if text.get_text() == "3")
    assert busy.get_color() not in loads


def test_the_load_of_the_busiest_is_told_beside_the_guess() -> None:
    runs = {"nothing": [0.5] * 6 + [2.0] * 2, "bias": [0.5] * 6 + [0.25] * 2}
    ax = lab03.plot_violations(runs, 2.0)
    assert (
        title_of(ax) == "Load of the busiest expert, in times its fair share: "
        "nothing: 3.0; bias: 1.2; you guessed 2.0"
    )
    assert "guess" not in title_of(lab03.plot_violations(runs))
    assert "bias 0.25" in str(ax.get_label())


def test_kept_guesses_are_told_with_their_intervals() -> None:
    parts = {"prose": wilson_interval(20, 60), "puzzles": wilson_interval(150, 200)}
    ax = lab03.plot_acceptance(parts)
    assert title_of(ax) == "The model keeps 75% of the guesses in puzzles, 33% in prose"
    assert "prose 33% (23% to 46%, n = 60)" in str(ax.get_label())


def run(design: str, seed: int, bits: float) -> ExpertRun:
    return ExpertRun(
        design=design,
        seed=seed,
        seconds=60.0,
        threads=1,
        steps=10,
        tokens=100,
        bits_per_byte={"a": bits - 0.5, "b": bits + 0.5},
        max_violation=None,
        accepted={},
    )


def runs(seeds: int) -> list[ExpertRun]:
    """Experts are better in every seed, small is worse, and other swings."""
    found = []
    for seed in range(seeds):
        level = 3 + seed / 10
        found += [
            run("dense", seed, level),
            run("experts", seed, level - 0.1 - seed / 100),
            run("small", seed, level + 0.2),
            run("other", seed, level + 0.1 * (-1) ** seed),
        ]
    return found


PAIRS = {name: (name, "dense") for name in ("experts", "small", "other")}


def test_six_seeds_allow_a_verdict_where_all_agree() -> None:
    assert (
        title_of(designs.plot_designs(runs(6), PAIRS)) == "60 s of training, 6 seeds. "
        "Better: experts. Worse: small. Cannot tell: other"
    )


def test_five_seeds_allow_no_verdict_at_all() -> None:
    said = title_of(designs.plot_designs(runs(5), PAIRS))
    assert said.endswith("Cannot tell: experts, small, other")


def test_the_difference_is_taken_seed_by_seed() -> None:
    found = designs.difference(runs(6), "small", "dense")
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.2))
    shifted = [replace(each, seed=each.seed + 1) for each in runs(6)]
    assert designs.difference(shifted, "small", "dense").n == 6


def test_the_table_of_a_race_names_no_winner() -> None:
    trainee = SimpleNamespace(learned=[0] * 1200, tokens=8000, seconds=40.0)
    scores = {"dense": {"prose": Scored(bits=300.0, text_bytes=100)}}
    table = designs.race_table({"dense": trainee}, scores)
    assert table.rows == [["dense", "1,200", "200", "3.000"]]
    assert "After 40 seconds" in table.caption
    assert "One run tells little" in table.caption


def test_biases_balance_a_router_that_does_not_learn() -> None:
    without, with_bias = balance_alone(0.0, steps=60), balance_alone(0.02, steps=60)
    assert without[0] == with_bias[0]
    assert lab03.settled(without) > 2
    assert lab03.settled(with_bias) < 0.5


def test_the_knobs_draw_again_and_leave_a_still_picture() -> None:
    knobs = widgets.balance_knobs()
    assert len(knobs.sliders) == 3
    before = knobs.still.alt
    knobs.sliders["speed"].value = 0.0
    assert knobs.still.alt != before
    assert knobs._repr_mimebundle_()["text/html"].startswith("<img alt=")


def test_a_bar_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now)
    bar = waiting.Bar("Training", 40)
    assert str(bar) == "Training: begins"
    now, bar.done = 110.0, 10.0
    assert repr(bar) == "Training: 25%, about 30 s left"
    assert "<progress" in bar._repr_html_()
    now, bar.done = 142.0, 40.0
    assert bar._repr_html_() == "Training: done in 42 s"


def test_a_bar_is_finished_when_its_block_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with waiting.waiting("Training", 4) as tell:
        tell(1.0)
    assert "Training" in capsys.readouterr().out
