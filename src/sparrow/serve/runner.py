"""Run the model once for everybody's new tokens, whoever has one and whoever has many.

Sequences with about as many new tokens form a rectangle, which the model reads as any
other batch: it only gets a cache whose rows lie in blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparrow.model import Sparrow, rope
from sparrow.model.mtp import MultiTokenPrediction
from sparrow.serve.paged import Group, PagedCache, Window
from sparrow.serve.scheduler import Turn

__all__ = ["Batch", "Runner"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's tokens, request after request, and where they belong.

    Shapes:
        tokens, positions: [N]; drawn_from: [M], the tokens whose scores are drawn from.
    """

    tokens: Tensor
    positions: Tensor
    drawn_from: Tensor
    groups: list[Group]


class Runner:
    """A model over a paged cache.

    Args:
        model: any Sparrow model.
        blocks: how many blocks there are.
        block_size: tokens in each.
        has_mtp: keep rows for the first MTP module as well, which guesses a token.
    """

    def __init__(
        self, model: Sparrow, blocks: int, block_size: int, *, has_mtp: bool = False
    ) -> None:
        self.model, self.has_mtp = model, has_mtp
        layers = model.config.num_hidden_layers + has_mtp
        self.pages = PagedCache(
            model.config.replace(num_hidden_layers=layers),
            blocks,
            block_size,
            dtype=model.dtype,
            device=model.device,
        )
        self.hidden = torch.empty(0)  # of the last step, for the MTP module: [N, D]

    def batch(self, turns: Sequence[Turn], table: Ints) -> Batch:
        """Lay the tokens of one step side by side."""
        device = self.model.device
        tokens: list[int] = []
        for turn in turns:
            tokens += turn.request.tokens[turn.start : turn.start + turn.count]
            tokens += turn.proposed
        start = np.array([turn.start for turn in turns])
        count = np.array([turn.count + len(turn.proposed) for turn in turns])
        draws = np.array([turn.draws for turn in turns])
        rows = table[[turn.row for turn in turns]]
        first = count.cumsum() - count  # place of each request's first token
        groups = []
        size_class = np.frexp(count)[1]  # 1, 2 to 3, 4 to 7, …
        for size in np.unique(size_class):
            own = size_class == size
            groups.append(self._group(first[own], start[own], count[own], rows[own]))
        return Batch(
            tokens=torch.tensor(tokens, device=device),
            positions=torch.from_numpy(spread(start, count)).to(device),
            drawn_from=torch.from_numpy(spread(first + count - draws, draws)).to(
                device
            ),
            groups=groups,
        )

    def _group(self, first: Ints, start: Ints, count: Ints, rows: Ints) -> Group:
        """One rectangle."""
        size = self.pages.block_size
        place = np.minimum(np.arange(count.max()), count[:, None] - 1)  # [B, Q]
        position = start[:, None] + place
        blocks = np.take_along_axis(rows, position // size, axis=1)
        pages = position.max() // size + 1
        visible = np.arange(pages * size) <= position[:, None, :, None]
        where = first[:, None] + place, blocks * size + position % size
        parts = (*where, rows[:, :pages], visible)
        tensors = [torch.from_numpy(each).to(self.model.device) for each in parts]
        names = ("where", "slots", "table", "visible")
        return Group(**dict(zip(names, tensors, strict=True)))

    def scores(self, batch: Batch) -> Tensor:
        """Read a step's tokens; score what may come after those that are drawn from.

        Shapes:
            returns [M, V].
        """
        model = self.model
        hidden = model.embed_tokens.weight.new_empty(
            len(batch.tokens), model.config.hidden_size
        )
        for group in batch.groups:
            found = model.hidden(
                batch.tokens[group.where],
                positions=batch.positions[group.where],
                mask=group.visible,
                cache=Window(self.pages, group),
            )
            hidden[group.where] = found
        self.hidden = hidden
        return model.logits(hidden[batch.drawn_from])

    def guesses(self, batch: Batch, following: Tensor, chosen: Tensor) -> Tensor:
        """Score what may come two tokens after some tokens of the last step.

        Args:
            batch: the step.
            following: the token that came after each of its tokens.
            chosen: places in the step's list of tokens.

        Shapes:
            following: [N]; chosen: [M]; returns [M, V].

        Source: arXiv:2412.19437, sections 2.2 and 5.4.3.
        """
        model, module = self.model, self.model.mtp[0]
        assert isinstance(module, MultiTokenPrediction)
        hidden = torch.empty_like(self.hidden)
        for group in batch.groups:
            where = group.where
            positions = batch.positions[where] + 1
            hidden[where] = module(
                self.hidden[where],
                model.embed_tokens(following[where]),
                rope.rotation(positions, model.inverse_freq, model.config),
                group.visible,
                Window(self.pages, group),
            )
        return model.logits(hidden[chosen])


def spread(start: Ints, count: Ints) -> Ints:
    """Count on from each start: [5, 9] and [3, 1] give [5, 6, 7, 9]."""
    first = count.cumsum() - count
    return np.arange(count.sum()) + np.repeat(start - first, count)
