"""A paired comparison: its bounds hold the truth as often as they say."""

from functools import cache

import pytest
import torch
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.evaluate import paired, resample
from sparrow.evaluate.intervals import wilson_interval
from sparrow.evaluate.paired import McNemar, mcnemar, paired_difference
from sparrow.runtime import generator

# Chances of both models, and how alike the questions make them: easy, hard and even
# questions, from hardly to strongly correlated.
DESIGNS = [
    (0.5, 0.5, 0.0),
    (0.6, 0.5, 0.5),
    (0.3, 0.2, 0.3),
    (0.8, 0.5, 0.3),
    (0.85, 0.8, 0.5),
    (0.3, 0.3, 0.8),
]


def evaluations(count: int, n: int, seed: int) -> list[tuple[Tensor, Tensor, float]]:
    """Right or wrong for two models, [count, n] in each design; and the true gain."""
    draw, found = generator(seed), []
    normal = torch.distributions.Normal(0, 1)
    for chance_a, chance_b, alike in DESIGNS:
        shared = alike**0.5 * torch.randn(count, n, generator=draw)
        right = [
            shared + (1 - alike) ** 0.5 * torch.randn(count, n, generator=draw)
            < normal.icdf(torch.tensor(chance))
            for chance in (chance_a, chance_b)
        ]
        found.append((right[0], right[1], chance_a - chance_b))
    return found


def coverage(n: int, count: int) -> float:
    """How often the bounds hold the true difference; equal counts are asked once."""

    @cache
    def bounds(only_a: int, only_b: int) -> tuple[float, float]:
        a = torch.arange(n) < only_a
        b = torch.arange(n) >= n - only_b
        found = paired_difference(a, b, generator=generator(only_a * n + only_b))
        return found.low, found.high

    held = []
    for a, b, truth in evaluations(count, n, seed=n):
        pairs = zip((a & ~b).sum(1).tolist(), (b & ~a).sum(1).tolist(), strict=True)
        for low, high in (bounds(*pair) for pair in pairs):
            held.append(low - 1e-12 <= truth <= high + 1e-12)
    return sum(held) / len(held)


@pytest.mark.parametrize(("n", "count"), [(30, 500), (100, 100), (500, 30)])
def test_the_paired_interval_holds_the_truth_as_often_as_it_says(n, count, monkeypatch):
    monkeypatch.setattr(resample, "RESAMPLES", 500)
    assert 0.93 <= coverage(n, count) <= 0.97


def test_a_plain_bootstrap_would_fail_this(monkeypatch):
    def plain(values, _ends, **options):
        return resample.resampled_mean(values, (0.0, 0.0), **options)

    monkeypatch.setattr(resample, "RESAMPLES", 500)
    monkeypatch.setattr(paired, "resampled_mean", plain)
    assert coverage(30, 500) < 0.93


@pytest.mark.parametrize("n", [30, 100, 500])
def test_wilsons_interval_holds_the_truth_as_often_as_it_says(n):
    held = []
    for a, _b, _truth in evaluations(1000, n, seed=n):
        chance = DESIGNS[len(held) // 1000][0]
        for right in a.sum(1).tolist():
            found = wilson_interval(right, n)
            held.append(found.low <= chance <= found.high)
    assert 0.93 <= sum(held) / len(held) <= 0.97


def test_equal_answers_do_not_prove_equal_models():
    same = [True, False] * 15
    found = paired_difference(same, same, generator=generator(0))
    assert found.estimate == 0
    assert found.low < -0.02
    assert found.high > 0.02
    assert found.n == 30


def test_a_win_everywhere_is_no_certainty_either():
    found = paired_difference([1] * 30, [0] * 30, generator=generator(0))
    assert 0.8 < found.low < 0.98
    assert found.high == found.estimate == 1


def test_means_over_samples_are_not_blown_up():
    draw = generator(1)
    a = 0.5 + 0.1 * torch.randn(100, generator=draw)
    found = paired_difference(a, torch.full((100,), 0.5), generator=draw)
    # 2 · 1.96 · 0.1 / √100: the halves must not count as whole points from 0 to 1
    assert found.high - found.low == pytest.approx(0.0392, rel=0.2)


def test_swapping_the_models_turns_the_sign():
    a, b = [1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0]
    one = paired_difference(a, b, generator=generator(0))
    other = paired_difference(b, a, generator=generator(0))
    assert one.estimate == -other.estimate == 0.5
    assert one.low == pytest.approx(-other.high, abs=0.1)


def test_more_confidence_is_wider_and_a_seed_repeats():
    a, b = [1, 0, 1, 1] * 9, [0, 0, 1, 1] * 9
    wide = paired_difference(a, b, generator=generator(0), confidence=0.99)
    usual = paired_difference(a, b, generator=generator(0))
    assert wide.low < usual.low < usual.high < wide.high
    assert paired_difference(a, b, generator=generator(0)) == usual


def test_mcnemar_counts_who_is_right_alone():
    a = [True] * 6 + [False] * 1 + [True] * 20
    b = [False] * 6 + [True] * 1 + [True] * 20
    # by hand: seven tosses, at most one head: (1 + 7) / 128, twice
    assert mcnemar(a, b) == McNemar(6, 1, 0.125)
    assert mcnemar(b, a) == McNemar(1, 6, 0.125)


def test_mcnemar_sees_nothing_where_nobody_differs():
    assert mcnemar([1, 0], [1, 0]) == McNemar(0, 0, 1.0)
    assert mcnemar([1, 0], [0, 1]).p_value == 1


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ([1, 0], [1], "two values for each question"),
        ([], [], "two values for each question"),
        ([[1.0]], [[0.0]], "two values for each question"),
        ([float("nan")], [0.0], "not finite"),
    ],
)
def test_columns_that_are_no_pairs_are_refused(a, b, says):
    with pytest.raises(UsageError, match=says):
        paired_difference(a, b, generator=generator(0))
    with pytest.raises(UsageError, match=says):
        mcnemar(a, b)


def test_other_nonsense_is_refused():
    with pytest.raises(UsageError, match="give 0 or 1"):
        mcnemar([0.5], [1.0])
    with pytest.raises(UsageError, match="confidence must be between 0 and 1"):
        paired_difference([1], [0], generator=generator(0), confidence=1.0)
    with pytest.raises(UsageError, match="at least one question"):
        resample.resampled_mean(torch.zeros(0), (0.0, 1.0), generator=generator(0))
