"""One of k tries is right: how often, judged from all the tries there are."""

from sparrow.errors import UsageError
from sparrow.language import _

__all__ = ["pass_at_k"]


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, drawn without looking, hold a right one.

    To take the share of right samples p and say 1 - (1 - p)ᵏ is too low on average.
    This is not: its mean over evaluations is the true pass@k, for every n from k on.

    Args:
        n: how many samples a question has.
        c: how many of them are right.
        k: how many tries the user has.

    Raises:
        UsageError: a number is out of its range.

    Source: Chen et al., arXiv:2107.03374, section 2.1, equation 1.
    """
    if n < 1 or not 0 <= c <= n or not 1 <= k <= n:
        raise UsageError(
            _(
                "n must be at least 1, c in 0..n and k in 1..n; got {n}, {c} and {k}.",
                n=n,
                c=c,
                k=k,
            )
        )
    # 1. With fewer than k wrong samples, k draws cannot all be wrong.
    if n - c < k:
        return 1.0
    # 2. Draw k times: the chance that each draw is wrong, after the wrong ones before.
    missed = 1.0
    for drawn in range(k):
        # Factors below 1, one by one: the binomials themselves would overflow.
        missed *= (n - c - drawn) / (n - drawn)
    # 3. What remains is the chance of at least one right sample.
    return 1.0 - missed
