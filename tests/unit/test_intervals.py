"""Wilson's bounds: against values computed by hand and by their defining equation."""

import math

import pytest

from sparrow.errors import UsageError
from sparrow.evaluate.intervals import wilson_interval

Z = 1.959963984540054  # a bell curve has 95 % within so many deviations


@pytest.mark.parametrize(("successes", "trials"), [(1, 4), (7, 10), (237, 500)])
def test_both_bounds_solve_the_equation_that_defines_them(successes, trials):
    found = wilson_interval(successes, trials)
    share = successes / trials
    for bound in (found.low, found.high):
        deviations = abs(share - bound) / math.sqrt(bound * (1 - bound) / trials)
        assert deviations == pytest.approx(Z, rel=1e-9)
    assert found.low < share < found.high
    assert (found.estimate, found.n) == (share, trials)


@pytest.mark.parametrize("trials", [1, 10, 5000])
def test_all_or_nothing_has_the_bound_of_the_closed_form(trials):
    # with no success the quadratic becomes p (1 + z²/n) = z²/n
    reach = Z**2 / (trials + Z**2)
    none, every = wilson_interval(0, trials), wilson_interval(trials, trials)
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(reach, rel=1e-9)
    assert every.low == pytest.approx(1 - reach, rel=1e-9)


def test_half_of_ten_is_symmetric_around_one_half():
    found = wilson_interval(5, 10)
    assert found.low == pytest.approx(0.5 - Z / (2 * math.sqrt(10 + Z**2)))
    assert found.low + found.high == pytest.approx(1)


def test_more_confidence_and_fewer_trials_both_widen():
    wide = wilson_interval(5, 10, confidence=0.99)
    usual, many = wilson_interval(5, 10), wilson_interval(500, 1000)
    assert wide.low < usual.low < many.low < many.high < usual.high < wide.high


@pytest.mark.parametrize(
    ("successes", "trials", "confidence"),
    [(-1, 4, 0.95), (5, 4, 0.95), (0, 0, 0.95), (1, 4, 1.0), (1, 4, 0.0)],
)
def test_numbers_out_of_range_are_refused(successes, trials, confidence):
    with pytest.raises(UsageError, match="successes must be in"):
        wilson_interval(successes, trials, confidence)
