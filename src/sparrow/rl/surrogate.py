"""What each token brings: likelier if its answer was good, but not too far at once."""

import torch
from torch import Tensor

__all__ = [
    "clipped_surrogate",
    "held_by_clip",
    "k3_kl",
    "log_ratio",
    "weighted_surrogate",
]


def log_ratio(
    logprobs: Tensor, old_logprobs: Tensor, mask: Tensor, *, by_sequence: bool
) -> Tensor:
    """How much likelier each token is than when it was written: a difference of logs.

    Args:
        logprobs: now.
        old_logprobs: when it was written.
        mask: 1 where a token counts; elsewhere the result is 0.
        by_sequence: give every token of an answer their mean. Rewards are given to
            whole answers, so GSPO weighs whole answers, too.

    Shapes:
        all [B, T]; returns [B, T].

    Source: arXiv:2402.03300, equation 3; by sequence arXiv:2507.18071, equation 7.
    """
    # What stands after the end may be anything, and must not reach the gradient.
    change = (logprobs - old_logprobs).masked_fill(mask == 0, 0.0)
    if not by_sequence:
        return change
    lengths = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (change.sum(dim=1, keepdim=True) / lengths).expand_as(change)


def clipped_surrogate(
    change: Tensor, advantages: Tensor, *, clip_low: float, clip_high: float
) -> Tensor:
    """What each token adds to the loss: its ratio times its advantage, held back.

    Args:
        change: how much likelier each token became, as a logarithm: `log_ratio`.
        advantages: one for each answer.
        clip_low: a ratio under 1 - clip_low brings nothing more.
        clip_high: a ratio above 1 + clip_high brings nothing more.

    Shapes:
        change: [B, T]; advantages: [B]; returns [B, T].

    Source: Schulman et al., arXiv:1707.06347, equation 7; two different bounds
        arXiv:2503.14476, equation 10.
    """
    # 1. The ratio itself, and all tokens of an answer share its advantage.
    ratio = change.exp()
    advantage = advantages[:, None]
    # 2. The ratio, kept between its two bounds.
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    # 3. Promise only the smaller gain. A loss is a gain with a minus.
    return -torch.minimum(ratio * advantage, clipped * advantage)


def weighted_surrogate(
    change: Tensor, logprobs: Tensor, advantages: Tensor, *, clip_high: float
) -> Tensor:
    """CISPO: clip the weight of a token, never its gradient.

    Clipping as in PPO silences tokens that moved far, and these are often the rare
    ones that turn a thought around. Here each keeps a gradient with a bounded weight.

    Shapes:
        change, logprobs: [B, T]; advantages: [B]; returns [B, T].

    Source: arXiv:2506.13585, equations 4 and 5. TRL gives the bound itself
        (`epsilon_high`) where we give how far it is above 1.
    """
    weight = change.exp().clamp(max=1 + clip_high).detach()
    return -weight * advantages[:, None] * logprobs


def held_by_clip(
    change: Tensor, advantages: Tensor, *, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor]:
    """Where clipping takes the gradient away (cispo: bounds it), below and above.

    Shapes:
        change: [B, T]; advantages: [B]; returns twice [B, T], 0 or 1.
    """
    ratio, advantage = change.detach().exp(), advantages[:, None]
    low = (ratio < 1 - clip_low) & (advantage < 0)
    high = (ratio > 1 + clip_high) & (advantage > 0)
    return low.to(ratio.dtype), high.to(ratio.dtype)


def k3_kl(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """How far the policy is from a reference, estimated at each token written.

    Right on average, like the plain difference of logarithms, but never negative and
    much less noisy.

    Shapes:
        logprobs, ref_logprobs: [B, T]; returns [B, T], in nats.

    Source: Schulman, "Approximating KL divergence" (2020), estimator k3;
        arXiv:2402.03300, equation 4.
    """
    # 1. How much likelier the token is for the reference.
    change = ref_logprobs - logprobs
    # 2. The ratio, less its tangent at 1: 0 only where both agree.
    return change.exp() - change - 1
