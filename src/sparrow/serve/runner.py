"""Run the model once for everybody's new tokens, whoever has one and whoever has many.

All tokens of a step go through the large matrices together, whosever they are. Only
attention must know who is who: sequences with about as many new tokens form a
rectangle, which attends to its own blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparrow import runtime
from sparrow.config import Config
from sparrow.model import Sparrow, attend, packed, rope
from sparrow.model.joined import JoinedStep, is_original, mix_latents
from sparrow.model.joined_parts import Matrix, Mix
from sparrow.model.mtp import MultiTokenPrediction
from sparrow.model.native_step import NativeStep, Scored, Texts, can_step
from sparrow.quant import joined, native
from sparrow.quant.native_step import HeadsStep, heads_step, look_back
from sparrow.serve.paged import Group, PagedCache, Window
from sparrow.serve.rows import Ints, Plan, Rows
from sparrow.serve.sampling import judge

__all__ = ["Batch", "Runner"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's tokens, request after request, and where they belong.

    Shapes:
        tokens, positions, slots, owners: [N]; tables: [B, P], the blocks of each
        request; drawn_from: [M], places in the list of tokens.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    owners: Tensor
    drawn_from: Tensor
    texts: Texts
    groups: list[Group]  # none where one call of compiled code reads all tokens


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
        self.model, self.device = model, model.device
        layers = model.config.num_hidden_layers + has_mtp
        self.pages = PagedCache(
            model.config.replace(num_hidden_layers=layers),
            blocks,
            block_size,
            dtype=model.dtype,
            device=model.device,
        )
        # The fast way, on joined and packed weights. Its plain twin is the model, which
        # reads one rectangle after the other.
        self.joined: JoinedStep | None = None
        self.native: NativeStep | None = None  # faster still
        self.heads: HeadsStep | None = None  # the same with grouped-query attention
        self.head: Matrix = model.logits
        if is_original(model):
            if can_step(model):
                self.native = NativeStep(model, has_mtp=has_mtp)
            else:
                is_gqa = model.config.attention == "gqa"
                join = joined.join_floats if is_gqa and native.library() else None
                keep = packed.keep
                self.head = joined.join_floats((model.lm_head,))
                self.joined = JoinedStep(model, keep, join=join, has_mtp=has_mtp)
        elif joined.can_join(model):
            self.joined = JoinedStep(model, join=joined.join)
        if self.joined is not None and not has_mtp:
            self.heads = heads_step(self.joined, self.pages.buffers)
        self.has_mtp = has_mtp
        self.hidden = torch.empty(0)  # of the last step, for the MTP module: [N, D]

    def batch(self, plan: Plan, table: Rows) -> Batch:
        """Lay the tokens of one step side by side."""
        size, owners, position = self.pages.block_size, plan.owners, plan.positions
        own = plan.rows[owners]
        block = table.blocks[own, position // size]
        tokens, positions = table.tokens[own, position], self._tensor(position)
        pages = position.max() // size + 1
        return Batch(
            tokens=self._tensor(tokens),
            positions=positions,
            slots=self._tensor(block * size + position % size),
            owners=self._tensor(owners),
            drawn_from=self._tensor(plan.drawn_from),
            texts=Texts(
                begins=self._tensor(np.append(plan.firsts, len(tokens))),
                firsts=self._tensor(np.zeros_like(plan.firsts)),
                columns=positions,
                positions=positions,
                tables=self._tensor(table.blocks[plan.rows, :pages]),
            ),
            groups=[] if self._is_native() else self._groups(plan, table),
        )

    def _groups(self, plan: Plan, table: Rows) -> list[Group]:
        """Rectangles of requests with about as many new tokens."""
        size_class = np.frexp(plan.counts)[1]  # 1, 2 to 3, 4 to 7, …
        rows = table.blocks[plan.rows]
        return [
            self._group(plan.firsts[own], plan.starts[own], plan.counts[own], rows[own])
            for own in (size_class == each for each in np.unique(size_class))
        ]

    def _is_native(self) -> bool:
        """Whether a step is one call of compiled code."""
        return self.native is not None or self.heads is not None

    def _group(self, first: Ints, start: Ints, count: Ints, rows: Ints) -> Group:
        """One rectangle."""
        place = np.minimum(np.arange(count.max()), count[:, None] - 1)  # [B, Q]
        position = start[:, None] + place
        pages = position.max() // self.pages.block_size + 1
        column = np.arange(pages * self.pages.block_size)
        return Group(
            where=self._tensor(first[:, None] + place),
            table=self._tensor(rows[:, :pages]),
            visible=self._tensor(column <= position[:, None, :, None]),
        )

    def _tensor(self, array: NDArray[np.int64] | NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def scores(self, batch: Batch) -> Scored:
        """Read a step's tokens; score what may come after those that are drawn from.

        Shapes:
            returns [M, V] and what belongs to it.
        """
        model = self.model
        if self.native is not None:
            buffers = self.pages.buffers
            rows = batch.drawn_from
            if not self.has_mtp:
                hidden = self.native.hidden(batch.tokens, batch.texts, buffers, rows)
                return self.native.scores(hidden, torch.arange(len(rows)))
            self.hidden = self.native.hidden(batch.tokens, batch.texts, buffers)
            return self.native.scores(self.hidden, rows)
        if self.heads is not None:
            self.hidden = self.heads.hidden(
                batch.tokens,
                batch.positions,
                batch.slots,
                batch.owners,
                batch.texts.tables,
            )
            return judge(self.head(self.hidden[batch.drawn_from]))
        if self.joined is None:
            self.hidden = self._one_by_one(
                batch,
                lambda group: model.hidden(
                    batch.tokens[group.where],
                    positions=batch.positions[group.where],
                    mask=group.visible,
                    cache=Window(self.pages, batch.slots[group.where], group.table),
                ),
            )
            return judge(self.head(self.hidden[batch.drawn_from]))
        with runtime.fast_matmul():
            mix = self._mix(batch)
            self.hidden = self.joined.hidden(batch.tokens, batch.positions, mix)
            return judge(self.head(self.hidden[batch.drawn_from]))

    def guesses(self, batch: Batch, following: Tensor, chosen: Tensor) -> Scored:
        """Score what may come two tokens after some tokens of the last step.

        Args:
            batch: the step.
            following: the token that came after each of its tokens.
            chosen: places in the step's list of tokens.

        Shapes:
            following: [N]; chosen: [M]; returns [M, V] and what belongs to it.

        Source: arXiv:2412.19437, sections 2.2 and 5.4.3.
        """
        if self.native is not None:
            further = replace(batch.texts, positions=batch.positions + 1)
            deeper = self.native.further(
                self.hidden, following, further, self.pages.buffers
            )
            return self.native.scores(deeper, chosen)
        model, module = self.model, self.model.mtp[0]
        assert isinstance(module, MultiTokenPrediction)
        positions = batch.positions + 1
        if self.joined is None:
            deeper = self._one_by_one(
                batch,
                lambda group: module(
                    self.hidden[group.where],
                    model.embed_tokens(following[group.where]),
                    rope.rotation(
                        positions[group.where], model.inverse_freq, model.config
                    ),
                    group.visible,
                    Window(self.pages, batch.slots[group.where], group.table),
                ),
            )
            return judge(self.head(deeper[chosen]))
        with runtime.fast_matmul():
            mix = self._mix(batch)
            deeper = self.joined.further(self.hidden, following, positions, mix)
            return judge(self.head(deeper[chosen]))

    def _one_by_one(self, batch: Batch, read: Callable[[Group], Tensor]) -> Tensor:
        """Let the model read each rectangle; the states of all tokens, [N, D]."""
        model = self.model
        shape = len(batch.tokens), model.config.hidden_size
        hidden = torch.empty(shape, dtype=model.dtype, device=model.device)
        for group in batch.groups:
            hidden[group.where] = read(group)
        return hidden

    def _mix(self, batch: Batch) -> Mix:
        """Attention over the blocks, for all rectangles of a step."""
        config, pages = self.model.config, self.pages
        attend_to = _to_latents if config.attention == "mla" else _to_heads
        only = batch.groups[0]
        has_one = len(batch.groups) == 1 and only.where.shape[1] == 1
        look = None
        if has_one and config.attention == "gqa":
            tables = batch.texts.tables
            look = look_back(
                config, pages.block_size, batch.positions, batch.owners, tables
            )

        def mix(layer: int, query: Tensor, row: Tensor) -> Tensor:
            pages.write(layer, batch.slots, row)
            if look is not None:
                return look(pages.buffers[layer], query)
            if has_one:
                rows = pages.read(layer, only.table)
                return attend_to(config, query[:, None], rows, only.visible)[:, 0]
            mixed = torch.empty(0)
            for group in batch.groups:
                rows = pages.read(layer, group.table)
                found = attend_to(config, query[group.where], rows, group.visible)
                if not len(mixed):
                    mixed = found.new_empty(len(query), *found.shape[2:])
                mixed[group.where] = found
            return mixed

        return mix


def _to_latents(config: Config, query: Tensor, rows: Tensor, visible: Tensor) -> Tensor:
    """Attend to latents. Shapes: query [B, Q, H, C + R] -> [B, Q, H, C]."""
    heads = query.shape[2]
    empty = ~visible[:, 0]  # [B, Q, K]
    if empty.shape[1] > 1:
        empty = empty.repeat_interleave(heads, dim=1)
    mixed = mix_latents(query.flatten(1, 2), rows, empty, config.kv_lora_rank)
    return mixed.unflatten(1, (-1, heads))


def _to_heads(config: Config, query: Tensor, rows: Tensor, visible: Tensor) -> Tensor:
    """Attend to keys and values. Shapes: query [B, Q, H, D] -> [B, Q, H, D]."""
    key, value = rows.unflatten(-1, (2, -1, config.head_dim)).unbind(2)
    scale = rope.attention_scale(config, config.head_dim)
    with runtime.fast_matmul("mkl"):  # it reads keys and values where they lie
        return attend.attend_fused(query, key, value, visible, scale=scale)
