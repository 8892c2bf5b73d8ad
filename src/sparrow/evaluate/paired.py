"""Compare two models on the same questions: only where they differ is there news."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.resample import resampled_mean
from sparrow.language import _

__all__ = ["McNemar", "mcnemar", "paired_difference"]

Outcomes = Sequence[float] | Tensor


@dataclass(frozen=True)
class McNemar:
    """On how many questions only one of two models is right, and is that chance?"""

    only_a: int
    only_b: int
    p_value: float


def mcnemar(a: Sequence[bool] | Tensor, b: Sequence[bool] | Tensor) -> McNemar:
    """An exact test: if both are equally good, either one is right alone equally often.

    Args:
        a: whether the first model is right, one value a question.
        b: the same for the second, in the same order of questions.

    Raises:
        UsageError: the lengths differ, there is no question, or a value is neither
            right (1, True) nor wrong (0, False).

    Source: McNemar, Psychometrika 12 (1947), 153-157; exact, from the binomial.
    """
    # 1. Two columns of 0 and 1; `outcomes` refuses anything else.
    first, second = outcomes(a, b)
    # 2. Questions that only one of them answers; the others say nothing.
    only_a = int((first > second).sum())
    only_b = int((second > first).sum())
    # 3. Each is a toss of a fair coin. The smaller number of heads, or still fewer.
    tosses, fewer = only_a + only_b, min(only_a, only_b)
    ways = sum(math.comb(tosses, heads) for heads in range(fewer + 1))
    # 4. Twice, since either model could have been the better one; at most 1.
    p_value = min(1.0, 2 * ways / 2**tosses)
    return McNemar(only_a, only_b, p_value)


def paired_difference(
    a: Outcomes, b: Outcomes, *, generator: torch.Generator, confidence: float = 0.95
) -> Interval:
    """Bounds for the mean of a - b: a bootstrap over questions, smoothed at its ends.

    Beside the questions stand two half ones that changed as much as any did, one in
    each direction; where none changed, as much as from wrong to right. So n equal
    answers do not prove that two models are equal, and 95 % are 95 % from n = 30 on
    (`sparrow.evaluate.resample`; a plain bootstrap has 92 % there).

    Args:
        a: one value a question: 0 or 1, or the mean over several samples.
        b: the same for the other model, in the same order of questions.
        generator: draws the questions.
        confidence: how often such bounds hold the true difference.

    Raises:
        UsageError: the lengths differ, there is no question, a value is not finite, or
            the confidence is not between 0 and 1.
    """
    first, second = columns(a, b)
    changes = first - second
    most = float(changes.abs().max()) or 1.0
    return resampled_mean(
        changes, (-most, most), generator=generator, confidence=confidence
    )


def outcomes(a: Outcomes, b: Outcomes) -> tuple[Tensor, Tensor]:
    """Two equally long columns of 0 and 1, as tensors."""
    first, second = columns(a, b)
    if bool((first * (1 - first)).any() | (second * (1 - second)).any()):
        raise UsageError(_("McNemar's test counts right and wrong: give 0 or 1."))
    return first, second


def columns(a: Outcomes, b: Outcomes) -> tuple[Tensor, Tensor]:
    """Two equally long columns of finite numbers."""
    first, second = (
        torch.as_tensor(each, dtype=torch.float64, device="cpu") for each in (a, b)
    )
    if first.dim() != 1 or first.shape != second.shape or len(first) == 0:
        raise UsageError(
            _(
                "a pair needs two values for each question, in the same order; got "
                "{first} and {second}.",
                first=list(first.shape),
                second=list(second.shape),
            )
        )
    if not bool((first.isfinite() & second.isfinite()).all()):
        raise UsageError(_("a value of a pair is not finite."))
    return first, second
