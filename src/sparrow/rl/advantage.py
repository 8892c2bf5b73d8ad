"""Judge each answer against its siblings, not against a critic."""

import torch
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.language import _

__all__ = ["group_advantage"]

SPREAD_FLOOR = 1e-4  # TRL's too; the paper has none, and divides by 0 at times


def group_advantage(reward: Tensor, *, scale: bool = True) -> Tensor:
    """How much better each answer is than the others to the same question.

    A group in which all answers earn the same teaches nothing: its advantages are
    exactly 0.

    Args:
        reward: what each answer earned.
        scale: whether to divide by the group's spread, as GRPO does. Dr. GRPO
            does not: dividing makes very easy and very hard questions weigh more.

    Shapes:
        reward: [Q, G], Q questions with G answers each; returns [Q, G].

    Raises:
        UsageError: a group of one answer, or a reward that is no finite number.

    Source: arXiv:2402.03300, section 4.1.2, for dividing; arXiv:2503.20783,
        section 3.1, for not dividing. The papers do not say whether the deviation is
        divided by G or by G - 1; as in TRL, it is G - 1, and 0.0001 is added.
    """
    check_reward(reward)
    # 1. What is left above or below the mean of the group.
    advantage = reward - reward.mean(dim=1, keepdim=True)
    # 2. Divide by the spread, G - 1 inside; never by 0.
    if scale:
        spread = reward.std(dim=1, keepdim=True)
        advantage = advantage / (spread + SPREAD_FLOOR)
    # 3. Equal rewards: exactly 0. The rounding of their mean must not teach.
    equal = reward.amax(dim=1, keepdim=True) == reward.amin(dim=1, keepdim=True)
    return advantage.masked_fill(equal, 0.0)


def check_reward(reward: Tensor) -> None:
    """Refuse what cannot be compared.

    Raises:
        UsageError: see `group_advantage`.
    """
    if reward.ndim != 2:
        raise UsageError(
            _(
                "Rewards must have the shape questions × answers; got {shape}.",
                shape=tuple(reward.shape),
            )
        )
    if reward.shape[1] < 2:
        raise UsageError(
            _(
                "A group needs at least 2 answers, to compare them; got {n}. "
                "Raise the group size.",
                n=reward.shape[1],
            )
        )
    if not reward.is_floating_point():
        raise UsageError(
            _(
                "Rewards must be decimal numbers; got {kind}. Call .float() on them.",
                kind=reward.dtype,
            )
        )
    if not torch.isfinite(reward).all():
        question, answer = (~torch.isfinite(reward)).nonzero()[0].tolist()
        raise UsageError(
            _(
                "The reward of answer {answer} to question {question} is {value}, "
                "no finite number. Look at the function that gives rewards.",
                answer=answer,
                question=question,
                value=float(reward[question, answer]),
            )
        )
