"""One number of many tokens: who weighs how much?"""

from dataclasses import dataclass
from typing import Literal, Self, get_args

from torch import Tensor

__all__ = ["KINDS", "Kind", "Whole", "aggregate", "token_mean"]

Kind = Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "gspo"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What a loss is shared among; parts of a batch give the numbers of the whole."""

    sequences: int
    tokens: int  # those that count: where the mask is 1
    length: int  # tokens a sequence could have; only dr_grpo divides by it

    @classmethod
    def of(cls, mask: Tensor) -> Self:
        """The numbers of a batch that is not cut into parts; mask: [B, T]."""
        sequences, length = mask.shape
        return cls(sequences=sequences, tokens=int(mask.sum()), length=length)


def aggregate(
    values: Tensor, mask: Tensor, *, kind: Kind, whole: Whole | None = None
) -> Tensor:
    """One number of many tokens: who weighs how much?

    | kind              | what is averaged                                    |
    | ----------------- | --------------------------------------------------- |
    | grpo, gspo        | each answer's mean: long answers weigh less a token |
    | bnpo, dapo, cispo | all tokens of the batch, alike                      |
    | dr_grpo           | all tokens, divided by what they could have been    |

    bnpo and dapo are the same here. In TRL they differ if a batch is cut into parts:
    bnpo then takes the mean of the parts' means, so that the cut changes the result.

    Args:
        values: what each token brings.
        mask: 1 where a token counts. An answer without tokens brings 0.
        kind: one of the six.
        whole: `sequences`, `tokens` (where the mask is 1) and `length` (places of an
            answer) of the whole batch, if this is only a part of it; then the results
            of all parts add up to that of the whole.

    Shapes:
        values, mask: [B, T]; returns a scalar.

    Source: see `sparrow.rl.objective`. For dr_grpo TRL divides by the longest answer
        allowed; give it as `whole.length` for the same.
    """
    # 1. Without a word about the whole, this is the whole batch: `Whole.of(mask)`.
    whole = whole or Whole.of(mask)
    # 2. The sum of each answer's own tokens.
    sums = values.masked_fill(mask == 0, 0.0).sum(dim=1)  # [B]
    # 3. grpo, gspo: first the mean of each answer, then the mean of the answers.
    if kind in ("grpo", "gspo"):
        return (sums / mask.sum(dim=1).clamp(min=1)).sum() / whole.sequences
    # 4. dr_grpo: the same divisor for all, however long they became.
    if kind == "dr_grpo":
        return sums.sum() / (whole.sequences * whole.length)
    # 5. bnpo, dapo, cispo: every token of the batch weighs the same.
    return sums.sum() / max(whole.tokens, 1)


def token_mean(values: Tensor, mask: Tensor, whole: Whole) -> Tensor:
    """A mean over all tokens of the batch, to look at: without gradient.

    Shapes:
        values, mask: [B, T]; returns a scalar.
    """
    kept = values.detach().masked_fill(mask == 0, 0.0)
    return kept.sum() / max(whole.tokens, 1)
