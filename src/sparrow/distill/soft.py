"""Soft distillation: match all of the teacher's probabilities, not only its choice."""

import torch
from torch import Tensor

__all__ = ["forward_kl", "masked_mean", "reverse_kl"]


def forward_kl(teacher: Tensor, student: Tensor, *, temperature: float = 1.0) -> Tensor:
    """KL(teacher ‖ student) at each place: the student must cover all the teacher does.

    Args:
        teacher: scores of every token, from the model that teaches.
        student: the same, from the model that learns.
        temperature: above 1 both are flattened, and unlikely tokens count more.

    Shapes:
        both [..., V]; returns [...], in nats.

    Source: Hinton, Vinyals and Dean, arXiv:1503.02531, section 2.
    """
    # 1. Log-probabilities of both, flattened alike, in float32.
    wanted = (teacher.float() / temperature).log_softmax(dim=-1)
    given = (student.float() / temperature).log_softmax(dim=-1)
    # 2. The mean of their difference, as often as the teacher would choose each token.
    return (wanted.exp() * (wanted - given)).sum(dim=-1)


def reverse_kl(teacher: Tensor, student: Tensor, *, temperature: float = 1.0) -> Tensor:
    """KL(student ‖ teacher): the student must not do what the teacher would not.

    Args and shapes as in `forward_kl`.

    Source: Gu et al., arXiv:2306.08543, section 2.1.
    """
    # 1. Log-probabilities of both, flattened alike, in float32.
    wanted = (teacher.float() / temperature).log_softmax(dim=-1)
    given = (student.float() / temperature).log_softmax(dim=-1)
    # 2. The mean of their difference, as often as the student would choose each token.
    return (given.exp() * (given - wanted)).sum(dim=-1)


def masked_mean(values: Tensor, mask: Tensor, count: int | None = None) -> Tensor:
    """The mean over the places that count.

    Args:
        values: one a place.
        mask: True where a place counts.
        count: places in the whole batch, if this is only a part of it.

    Shapes:
        values, mask: alike; returns a scalar.
    """
    kept = torch.where(mask, values, 0.0)
    return kept.sum() / max(int(mask.sum()) if count is None else count, 1)
