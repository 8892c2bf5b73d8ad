"""Let several samples decide: what does more thinking at answering time buy?

Every point of a curve is an average over all the ways to draw k of a question's n
samples, so that the order in which they were written does not matter.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sparrow.errors import UsageError
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.resample import resampled_mean
from sparrow.language import _

__all__ = ["Point", "best_of_n", "majority_vote", "self_consistency"]

SHUFFLES = 100
Table = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Point:
    """What k samples a question cost, and how often they end in a right answer."""

    k: int
    tokens: float  # a question, on average
    accuracy: Interval  # over questions


def majority_vote(answers: Sequence[str | None]) -> str | None:
    """The answer that most samples give; of equals, the one that came first.

    Args:
        answers: one a sample; None where a sample has no answer: it does not vote.

    Returns:
        The winner, or None if nobody voted.

    Source: Wang et al., arXiv:2203.11171, section 2.
    """
    # 1. Count the votes, in the order in which they came.
    votes = Counter(answer for answer in answers if answer is not None)
    # 2. Nobody voted.
    if not votes:
        return None
    # 3. Most votes win; `max` keeps the first of equals.
    return max(votes, key=lambda answer: votes[answer])


def self_consistency(
    answers: Sequence[Sequence[str | None]],
    correct: Table,
    tokens: Table,
    ks: Sequence[int],
    *,
    generator: torch.Generator,
) -> list[Point]:
    """Accuracy of the majority of k samples, for each k.

    A vote has no short formula, so each question's samples are shuffled 100 times and
    the first k of them vote. Equals are then broken by chance.

    Args:
        answers: what each of n samples answers to each question, [Q, n].
        correct: whether it is right, [Q, n].
        tokens: how long it is, [Q, n].
        ks: how many samples vote.
        generator: shuffles, and draws the questions for the intervals.

    Raises:
        UsageError: the tables differ in shape, or a k is not in 1..n.
    """
    samples = _samples(answers, correct, tokens, ks)
    orders = [
        torch.randperm(samples, generator=generator).tolist() for _ in range(SHUFFLES)
    ]
    points = []
    for k in ks:
        shares = [
            sum(_vote(said, right, order[:k]) for order in orders) / SHUFFLES
            for said, right in zip(answers, correct, strict=True)
        ]
        points.append(_point(k, shares, tokens, generator))
    return points


def best_of_n(
    scores: Table,
    correct: Table,
    tokens: Table,
    ks: Sequence[int],
    *,
    generator: torch.Generator,
) -> list[Point]:
    """Accuracy of the sample that a verifier likes best among k, for each k.

    With a verifier that is always right this is pass@k.

    Args:
        scores: what the verifier gives to each of n samples of each question, [Q, n].
        correct: whether it is right, [Q, n].
        tokens: how long it is, [Q, n].
        ks: among how many samples one is chosen; of equal scores, by chance.
        generator: draws the questions for the intervals.

    Raises:
        UsageError: the tables differ in shape, or a k is not in 1..n.
    """
    _samples(scores, correct, tokens, ks)
    points = []
    for k in ks:
        shares = [
            _best(liked, right, k) for liked, right in zip(scores, correct, strict=True)
        ]
        points.append(_point(k, shares, tokens, generator))
    return points


def _samples(
    first: Sequence[Sequence[object]], correct: Table, tokens: Table, ks: Sequence[int]
) -> int:
    """How many samples each question has."""
    shapes = [[len(row) for row in table] for table in (first, correct, tokens)]
    rows = shapes[0]
    if not rows or len(set(rows)) > 1 or shapes[1] != rows or shapes[2] != rows:
        raise UsageError(
            _(
                "a curve needs an answer, a mark and a length for each sample, and "
                "equally many samples for each question."
            )
        )
    if not all(1 <= k <= rows[0] for k in ks):
        raise UsageError(
            _(
                "each question has {n} samples: k must be in 1..{n}; got {ks}.",
                n=rows[0],
                ks=list(ks),
            )
        )
    return rows[0]


def _vote(
    said: Sequence[str | None], right: Sequence[float], voters: Sequence[int]
) -> float:
    """Whether the majority of these samples is right."""
    winner = majority_vote([said[voter] for voter in voters])
    return 0.0 if winner is None else float(right[said.index(winner)])


def _best(scores: Sequence[float], correct: Sequence[float], k: int) -> float:
    """The chance that the best of k drawn samples is right."""
    n, chance, below = len(scores), 0.0, 0
    for score in sorted(set(scores)):
        equal = [
            right
            for liked, right in zip(scores, correct, strict=True)
            if liked == score
        ]
        # The best of k has this score if all k are up to it, but not all below.
        upto = below + len(equal)
        ways = math.comb(upto, k) - math.comb(below, k)
        chance += ways / math.comb(n, k) * sum(equal) / len(equal)
        below = upto
    return chance


def _point(
    k: int, shares: list[float], tokens: Table, generator: torch.Generator
) -> Point:
    """A point of a curve from one share a question."""
    spent = sum(k * sum(row) / len(row) for row in tokens) / len(tokens)
    accuracy = resampled_mean(torch.tensor(shares), (0.0, 1.0), generator=generator)
    return Point(k, spent, accuracy)
