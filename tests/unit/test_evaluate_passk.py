"""pass@k: against every possible draw, and against what a bad formula gives."""

from itertools import combinations

import pytest
import torch

from sparrow.errors import UsageError
from sparrow.evaluate.passk import pass_at_k


def by_enumeration(n: int, c: int, k: int) -> float:
    """Draw k of n in every way there is; the first c samples are right."""
    draws = list(combinations(range(n), k))
    return sum(min(draw) < c for draw in draws) / len(draws)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_it_is_the_share_of_all_draws_that_hold_a_right_sample(n):
    for c in range(n + 1):
        for k in range(1, n + 1):
            assert pass_at_k(n, c, k) == pytest.approx(by_enumeration(n, c, k))


def test_its_mean_over_evaluations_is_the_true_chance():
    # by hand: p = 0.2, n = 6 samples, c of them right with binomial chances
    binomial = torch.distributions.Binomial(6, torch.tensor(0.2, dtype=torch.float64))
    chances = binomial.log_prob(torch.arange(7.0, dtype=torch.float64)).exp().tolist()
    mean = sum(p * pass_at_k(6, c, 3) for c, p in enumerate(chances))
    naive = sum(p * (1 - (1 - c / 6) ** 3) for c, p in enumerate(chances))
    assert mean == pytest.approx(1 - 0.8**3, rel=1e-9)
    assert naive < mean - 0.03


def test_many_samples_neither_overflow_nor_lose_digits():
    assert pass_at_k(100_000, 1, 100) == pytest.approx(0.001, rel=1e-9)
    assert pass_at_k(100_000, 0, 100) == 0
    assert pass_at_k(100_000, 99_950, 100) == 1


@pytest.mark.parametrize("numbers", [(0, 0, 1), (4, 5, 1), (4, -1, 1), (4, 1, 5)])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(UsageError, match="k in 1..n; got"):
        pass_at_k(*numbers)
