"""One batch in, one number to make small out: what training asks of a model."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparrow.data import packing
from sparrow.data.packing import Packed
from sparrow.model import Sparrow, moe
from sparrow.train import loss, native_loss

__all__ = ["Losses", "Objective"]


class Losses(NamedTuple):
    """Scalars: the weighted sum, and its parts before they are weighted."""

    total: Tensor
    language: Tensor
    mtp: Tensor
    balance: Tensor


class Objective(nn.Module):
    """The next token, the tokens after it, and experts that share the work.

    L = L_next + λ · L_MTP + α · L_balance.

    Source: arXiv:2412.19437, sections 2.1.2 and 2.2.
    """

    def __init__(
        self, model: Sparrow, *, mtp_weight: float, balance_weight: float
    ) -> None:
        super().__init__()
        self.model = model
        self.mtp_weight = mtp_weight if model.mtp else 0.0
        is_sparse = model.config.feed_forward == "moe"
        self.balance_weight = balance_weight if is_sparse else 0.0

    def forward(self, batch: Packed, count: int, rows: int) -> Losses:
        """The losses of a part of a batch; parts sum up to those of the whole.

        Args:
            batch: the rows of this part.
            count: targets in the whole batch.
            rows: rows in the whole batch.
        """
        model = self.model
        mask = packing.attention_mask(batch.document)
        hidden = model.hidden(batch.tokens, positions=batch.positions, mask=mask)
        language = self._surprise(hidden, batch.targets, count)
        mtp = balance = language.new_zeros(())
        if self.mtp_weight:
            mtp = self._surprise_further(hidden, batch, mask, count)
        if self.balance_weight:
            here = len(batch.tokens)
            for routing in model.routings():
                one = moe.sequence_balance_loss(routing, here, model.config)
                balance = balance + one * (here / rows)
        total = language + self.mtp_weight * mtp + self.balance_weight * balance
        return Losses(total, language, mtp, balance)

    def _surprise(self, hidden: Tensor, targets: Tensor, count: int) -> Tensor:
        if native_loss.can_hear(self.model):
            return native_loss.language_loss(self.model, hidden, targets, count)
        return loss.language_loss(self.model.logits(hidden), targets, count)

    def _surprise_further(
        self, hidden: Tensor, batch: Packed, mask: Tensor, count: int
    ) -> Tensor:
        """What `mtp_loss` says, also where nobody makes all scores at once."""
        model = self.model
        if not native_loss.can_hear(model):
            predictions = model.predict_further(hidden, batch.tokens, mask)
            return loss.mtp_loss(predictions, batch.targets, count)
        losses = []
        for depth, further in enumerate(
            model.hidden_further(hidden, batch.tokens, mask), start=1
        ):
            targets = loss.further_targets(batch.targets, depth)
            losses.append(native_loss.language_loss(model, further, targets, count))
        return torch.stack(losses).mean()
