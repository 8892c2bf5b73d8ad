"""One step towards the better answers, and not too far: six ways to say it.

`policy_loss` puts small parts together: what each token brings (`surrogate`), and
who weighs how much in their mean (`shares`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.rl import shares, surrogate
from sparrow.rl.shares import KINDS, Kind, Whole

__all__ = ["PolicyLoss", "policy_loss"]


@dataclass(frozen=True, kw_only=True)
class PolicyLoss:
    """The loss, and what to watch: means over tokens, without gradient.

    The numbers of all parts of a batch add up to those of the whole.
    """

    loss: Tensor
    kl: Tensor | None  # to the reference, in nats a token; None without a reference
    clip_low_frac: Tensor  # tokens that could not be made less likely any further
    clip_high_frac: Tensor  # tokens that could not be made likelier any further
    ratio: Tensor


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    kind: Kind,
    clip_low: float,
    clip_high: float,
    ref_logprobs: Tensor | None = None,
    beta: float = 0.0,
    whole: Whole | None = None,
) -> PolicyLoss:
    """The loss whose gradient makes good answers likelier and bad ones less likely.

    Args:
        logprobs: log probability of each token that was written, with gradient.
        old_logprobs: the same when it was written, without gradient.
        advantages: how much better than its group each answer was.
        mask: 1 where a token of the answer stands, 0 after its end.
        kind: how tokens are clipped and averaged, see `shares.aggregate`.
        clip_low: how far below 1 a ratio counts; 0.2 in most papers, and of no
            meaning for cispo.
        clip_high: how far above 1 a ratio counts. DAPO takes 0.28.
        ref_logprobs: the same tokens, read by the reference model.
        beta: the weight of the distance to the reference.
        whole: the numbers of the whole batch, if this is only a part of it.

    Shapes:
        logprobs, old_logprobs, ref_logprobs, mask: [B, T]; advantages: [B].

    Raises:
        UsageError: an unknown kind, shapes that do not fit, a clip or a weight out of
            its range, a weight without a reference, or advantages that are no numbers.

    Source: grpo arXiv:2402.03300, equation 3; dapo arXiv:2503.14476, equation 8;
        dr_grpo arXiv:2503.20783, section 3.2; cispo arXiv:2506.13585, section 3.1;
        gspo arXiv:2507.18071, equations 5 to 7; bnpo as TRL names it.
        TRL's default also multiplies the distance by the ratio (arXiv:2512.02556);
        none of these papers does, and neither do we.
    """
    check_arguments(logprobs, old_logprobs, advantages, mask, ref_logprobs)
    check_choices(kind, clip_low, clip_high, beta, ref_logprobs)
    whole = whole or Whole.of(mask)
    # 1. How much likelier each token became: for gspo, the whole answer's mean.
    change = surrogate.log_ratio(
        logprobs, old_logprobs, mask, by_sequence=kind == "gspo"
    )
    # 2. What each token brings.
    if kind == "cispo":
        clip_low = 1.0  # a ratio is never below 0: nothing is held there
        values = surrogate.weighted_surrogate(
            change, logprobs, advantages, clip_high=clip_high
        )
    else:
        values = surrogate.clipped_surrogate(
            change, advantages, clip_low=clip_low, clip_high=clip_high
        )
    # 3. Stay near the reference.
    distance = None
    if ref_logprobs is not None:
        distance = surrogate.k3_kl(logprobs, ref_logprobs)
        values = values + beta * distance if beta else values
    # 4. One number of all, and what to watch on the way.
    low, high = surrogate.held_by_clip(
        change, advantages, clip_low=clip_low, clip_high=clip_high
    )
    return PolicyLoss(
        loss=shares.aggregate(values, mask, kind=kind, whole=whole),
        kl=None if distance is None else shares.token_mean(distance, mask, whole),
        clip_low_frac=shares.token_mean(low, mask, whole),
        clip_high_frac=shares.token_mean(high, mask, whole),
        ratio=shares.token_mean(change.exp(), mask, whole),
    )


def check_arguments(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    ref_logprobs: Tensor | None,
) -> None:
    """Refuse tensors that do not belong together.

    Raises:
        UsageError: see `policy_loss`.
    """
    if logprobs.ndim != 2:
        raise UsageError(
            _(
                "logprobs must have the shape answers × tokens; got {shape}.",
                shape=tuple(logprobs.shape),
            )
        )
    wanted = {
        "old_logprobs": (old_logprobs, logprobs.shape),
        "mask": (mask, logprobs.shape),
        "advantages": (advantages, logprobs.shape[:1]),
    }
    if ref_logprobs is not None:
        wanted["ref_logprobs"] = (ref_logprobs, logprobs.shape)
    for name, (tensor, shape) in wanted.items():
        if tensor.shape != shape:
            raise UsageError(
                _(
                    "{name} must have the shape {wanted}, as logprobs say; got {got}.",
                    name=name,
                    wanted=tuple(shape),
                    got=tuple(tensor.shape),
                )
            )
    if not torch.isfinite(advantages).all():
        raise UsageError(
            _(
                "An advantage is no finite number. Look at the rewards that it is "
                "made of."
            )
        )


def check_choices(
    kind: str,
    clip_low: float,
    clip_high: float,
    beta: float,
    ref_logprobs: Tensor | None,
) -> None:
    """Refuse settings that mean nothing.

    Raises:
        UsageError: see `policy_loss`.
    """
    if kind not in KINDS:
        raise UsageError(
            _(
                "There is no loss {kind}. Choose one of {kinds}.",
                kind=repr(kind),
                kinds=", ".join(KINDS),
            )
        )
    if not 0 <= clip_low <= 1 or not clip_high >= 0:
        raise UsageError(
            _(
                "clip_low must be from 0 to 1 and clip_high at least 0; "
                "got {low} and {high}.",
                low=clip_low,
                high=clip_high,
            )
        )
    if not beta >= 0:
        raise UsageError(
            _("The weight beta must be at least 0; got {beta}.", beta=beta)
        )
    if beta and ref_logprobs is None:
        raise UsageError(
            _(
                "A weight beta of {beta} needs a reference: give ref_logprobs, "
                "or set beta to 0.",
                beta=beta,
            )
        )
