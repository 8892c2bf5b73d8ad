"""What pretraining makes small: the surprise at the next token, and at those after."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.data.packing import IGNORED

__all__ = ["further_targets", "language_loss", "mtp_loss"]


def language_loss(logits: Tensor, targets: Tensor, count: int | None = None) -> Tensor:
    """The mean surprise at the next token: cross-entropy, in nats a token.

    Args:
        logits: scores of every token.
        targets: the token that really came next; `IGNORED` where there is none.
        count: what to divide the sum by, if this is only a part of a batch;
            None: by the number of its own targets.

    Shapes:
        logits: [B, T, V]; targets: [B, T]; returns a scalar.
    """
    # 1. Count the targets that are there.
    if count is None:
        count = int((targets != IGNORED).sum())
    # 2. Sum their surprise. In float32: small probabilities need their digits.
    total = F.cross_entropy(
        logits.flatten(0, -2).float(),
        targets.flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )
    # 3. Share it out.
    return total / max(count, 1)


def further_targets(targets: Tensor, depth: int) -> Tensor:
    """What a module that looks `depth` tokens further has to predict.

    Place t has the target of place t + depth, unless a document ended in between.

    Shapes:
        targets: [B, T]; returns [B, T - depth].
    """
    # 1. The token that stands `depth` places further on.
    tokens = targets.shape[1] - depth
    further = targets[:, depth:]
    # 2. A document's end anywhere on the way means that there is nothing to predict.
    for step in range(depth):
        ended = targets[:, step : step + tokens] == IGNORED
        further = further.masked_fill(ended, IGNORED)
    return further


def mtp_loss(
    predictions: Sequence[Tensor], targets: Tensor, count: int | None = None
) -> Tensor:
    """The mean surprise of the modules that predict further than the next token.

    Args:
        predictions: one a module, the nearest first; see `Sparrow.predict_further`.
        targets: the next token of each place; `IGNORED` where there is none.
        count: as in `language_loss`. As in the paper, every module divides by the
            number of the main model's targets, though it has a few less.

    Shapes:
        predictions: D times [B, T - depth, V], depth from 1 to D; targets: [B, T];
        returns a scalar.

    Source: arXiv:2412.19437, equations 24 and 25, without the weight λ.
    """
    # 1. Count the targets of the main model.
    if count is None:
        count = int((targets != IGNORED).sum())
    # 2. Each module has its own targets, one token further than the one before.
    losses = [
        language_loss(logits, further_targets(targets, depth), count)
        for depth, logits in enumerate(predictions, start=1)
    ]
    # 3. Their mean.
    return torch.stack(losses).mean()
