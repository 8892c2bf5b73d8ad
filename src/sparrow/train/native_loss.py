"""Score, compare and go back in one pass of compiled C++: a head with its loss.

The scores of all words are the largest thing that a step of training makes. Here only a
few rows of them exist at a time. The plain twin is `language_loss` of `Sparrow.logits`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparrow.data.packing import IGNORED
from sparrow.model import Sparrow, native_block, transformer
from sparrow.model.joined import is_own, is_untouched
from sparrow.train import loss

__all__ = ["can_hear", "language_loss"]


def can_hear(model: Sparrow) -> bool:
    """Whether `language_loss` is what the model's compiled layers go with.

    Not if a learner's own loss, or a hook on the head, must see the scores.
    """
    head = model.lm_head
    return (
        model.is_compiled
        and torch.is_grad_enabled()
        and head.weight.shape[0] % native_block.LANES == 0
        and native_block.is_float32(head.weight)
        and is_own(transformer)
        and is_untouched(head)
        and is_own(loss)
    )


def language_loss(
    model: Sparrow, hidden: Tensor, targets: Tensor, count: int
) -> Tensor:
    """As `loss.language_loss` says of the model's scores; `can_hear` said that it may.

    Args:
        model: whose head.
        hidden: what the head reads.
        targets: the token that really came next; `IGNORED` where there is none.
        count: what to divide the sum by.

    Shapes:
        hidden: [B, T, D]; targets: [B, T]; returns a scalar.
    """
    total = _Surprise.apply(hidden, model.lm_head.weight, targets)  # type: ignore[no-untyped-call]
    mean: Tensor = total / max(count, 1)
    return mean


class _Surprise(torch.autograd.Function):
    """In sum over all targets. The gradient is known as soon as the sum is."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        made, threads = native_block.library(), torch.get_num_threads()
        assert made is not None, "ask `can_hear` first"
        assert IGNORED < 0, "the C++ skips what is negative"
        hidden, weight = hidden.contiguous(), weight.contiguous()
        targets = targets.contiguous()
        words, width = weight.shape
        turned = weight.new_empty(width, words)
        to_hidden, to_weight = torch.empty_like(hidden), torch.empty_like(weight)
        rest = weight.new_empty(threads - 1, words, width)
        total = made.sparrow_surprise(
            hidden.data_ptr(),
            weight.data_ptr(),
            targets.data_ptr(),
            targets.numel(),
            width,
            words,
            turned.data_ptr(),
            to_hidden.data_ptr(),
            to_weight.data_ptr(),
            rest.data_ptr(),
            threads,
        )
        ctx.save_for_backward(to_hidden, to_weight)
        return hidden.new_tensor(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> Any:
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * felt, to_weight * felt, None
