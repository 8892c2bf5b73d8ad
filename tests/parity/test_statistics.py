"""Intervals and tests are those of statsmodels, which statisticians use."""

import pytest
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.proportion import proportion_confint

from sparrow.evaluate import mcnemar, wilson_interval


@pytest.mark.parametrize("trials", [1, 7, 30, 500])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_theirs(trials, confidence):
    for right in {0, 1, trials // 3, trials - 1, trials}:
        found = wilson_interval(right, trials, confidence)
        low, high = proportion_confint(right, trials, 1 - confidence, "wilson")
        # both solve one quadratic in double precision
        assert found.low == pytest.approx(low, rel=1e-9, abs=1e-12)
        assert found.high == pytest.approx(high, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("only_a", [0, 1, 4, 15, 60])
@pytest.mark.parametrize("only_b", [0, 1, 5, 15, 200])
def test_the_exact_mcnemar_is_theirs(only_a, only_b):
    a = [1] * only_a + [0] * only_b + [1, 0]
    b = [0] * only_a + [1] * only_b + [1, 0]
    found = mcnemar(a, b)
    theirs = their_mcnemar([[1, only_a], [only_b, 1]], exact=True)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    # their binomial goes through logarithms of the gamma function
    assert found.p_value == pytest.approx(float(theirs.pvalue), rel=1e-8)
