"""From answers to what the policy learns from: groups with signal, as tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.decode import Completion

__all__ = ["Rollout", "Sheet", "sheets", "with_signal"]


@dataclass(frozen=True)
class Rollout:
    """One answer to learn from."""

    prompt: Sequence[int]
    completion: Completion
    advantage: float

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion.tokens)


@dataclass(frozen=True)
class Sheet:
    """Rollouts, one a row, filled up at the right. Place t predicts token t + 1."""

    tokens: Tensor  # [B, T + 1]
    mask: Tensor  # [B, T]: 1 where the next token was written by the model
    old_logprobs: Tensor  # [B, T]
    advantages: Tensor  # [B]


def with_signal(reward: Tensor) -> Tensor:
    """Which groups can teach anything: those whose answers did not all earn the same.

    Args:
        reward: what each answer earned.

    Shapes:
        reward: [Q, G]; returns bool [Q].

    Source: DAPO's dynamic sampling, arXiv:2503.14476, section 3.2.
    """
    # 1. The best and the worst answer of each group.
    best, worst = reward.amax(dim=1), reward.amin(dim=1)
    # 2. Where they are equal, every advantage is 0.
    return best > worst


def sheets(rollouts: Sequence[Rollout], tokens: int) -> Iterator[Sheet]:
    """Lay rollouts out, about `tokens` places at a time, those of like length together.

    Filling up at the right needs no mask in attention: no real token looks there.
    """
    part: list[Rollout] = []
    for each in sorted(rollouts, key=len):
        if part and len(each) * (len(part) + 1) > tokens:
            yield _sheet(part)
            part = []
        part.append(each)
    if part:
        yield _sheet(part)


def _sheet(rollouts: Sequence[Rollout]) -> Sheet:
    width = max(len(each) for each in rollouts)
    tokens = torch.zeros(len(rollouts), width, dtype=torch.long)
    mask = torch.zeros(len(rollouts), width - 1)
    old = torch.zeros(len(rollouts), width - 1)
    for row, each in enumerate(rollouts):
        begin, end = len(each.prompt), len(each)
        tokens[row, :end] = torch.tensor([*each.prompt, *each.completion.tokens])
        mask[row, begin - 1 : end - 1] = 1
        old[row, begin - 1 : end - 1] = torch.tensor(each.completion.logprobs)
    advantages = torch.tensor([each.advantage for each in rollouts])
    return Sheet(tokens, mask, old, advantages)
