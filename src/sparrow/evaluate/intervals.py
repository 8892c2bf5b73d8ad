"""A measured share is never exact: say between which bounds the truth lies."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from sparrow.errors import UsageError
from sparrow.language import _

__all__ = ["Interval", "wilson_interval"]


@dataclass(frozen=True)
class Interval:
    """What was measured, the bounds that enclose the truth, and from how much."""

    estimate: float
    low: float
    high: float
    n: int


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Bounds for a share: which true shares could have given so many successes?

    Near 0 and 1 it stays inside, where the textbook's share ± 1.96 deviations does
    not. Trials must be independent of each other.

    Args:
        successes: how many trials succeeded.
        trials: how many there were.
        confidence: how often such bounds hold the true share.

    Raises:
        UsageError: a number is out of its range.

    Source: Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not 0 <= successes <= trials or trials < 1 or not 0 < confidence < 1:
        raise UsageError(
            _(
                "successes must be in 0..trials, trials at least 1 and confidence "
                "between 0 and 1; got {successes}, {trials} and {confidence}.",
                successes=successes,
                trials=trials,
                confidence=confidence,
            )
        )
    # 1. How many standard deviations the confidence allows on each side.
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    # 2. Solve (share - p)² = z² p (1 - p) / n for the true share p.
    share = successes / trials
    shrink = 1 + z**2 / trials
    middle = (share + z**2 / (2 * trials)) / shrink
    spread = share * (1 - share) / trials + z**2 / (4 * trials**2)
    half = z * math.sqrt(spread) / shrink
    # 3. Rounding must not leave 0..1 or exclude a share that is exactly 0 or 1.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(share, low, high, trials)
