"""Read a step's tokens in one call of compiled C++: the twin of `JoinedStep`.

The weights are joined as there, and laid out for the processor's registers. Each row of
the answer is the same to the last bit whoever else is in the batch.
"""

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_int64, c_void_p
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.config import Config
from sparrow.model import mla, moe, native, rope
from sparrow.model.cache import Cache
from sparrow.model.joined import JoinedStep, can_join
from sparrow.model.joined_parts import (
    DensePart,
    ExpertsPart,
    HeadsPart,
    LatentPart,
    Matrix,
)
from sparrow.model.norm import RMSNorm
from sparrow.model.transformer import Sparrow

__all__ = ["NativeStep", "Scored", "Texts", "can_step"]

PAYS_FROM = 4096  # tokens for which it is worth compiling
HEADS, LANES, PANEL = 4, 16, 32  # sizes must be multiples of these, on any processor


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Where the new tokens of some texts stand, text after text.

    Shapes:
        begins: [B + 1], the place of each text's first new token, and their number;
        firsts: [B], its first column that is not empty; columns, positions: [N], where
        in the cache and where in its text a token stands; tables: [B, P], the blocks
        of each text.
    """

    begins: Tensor
    firsts: Tensor
    columns: Tensor
    positions: Tensor
    tables: Tensor


class Scored(NamedTuple):
    """Scores of all tokens, and the most likely one. Shapes: [M, V], [M]."""

    scores: Tensor
    best: Tensor


def can_step(model: Sparrow, tokens: int = PAYS_FROM) -> bool:
    """Whether a `NativeStep` does what the model does, and pays for so many tokens.

    Whether it was compiled before does not count: the last bits of a run must not
    depend on what others have done.
    """
    return (
        tokens >= PAYS_FROM
        and can_join(model)
        and _knows(model.config)
        and native.library() is not None
    )


def _knows(config: Config) -> bool:
    """Whether the C++ is made for models of this shape."""
    features = config.kv_lora_rank + config.qk_rope_head_dim
    return (
        config.attention == "mla"
        and config.q_lora_rank is None
        and config.n_group == 1
        and config.num_attention_heads % HEADS == 0
        and config.kv_lora_rank % PANEL == 0
        and features % LANES == 0
    )


class Kept:
    """A matrix that is still to be laid out."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply as the twin does."""
        return F.linear(x, self.weight)


class NativeStep:
    """One step for many texts, on joined weights, in one call.

    Args:
        model: whose weights; `can_step` said that it may be.
        has_mtp: join the first MTP module as well.
    """

    @torch.no_grad()
    def __init__(self, model: Sparrow, *, has_mtp: bool = False) -> None:
        made = native.library()
        assert made is not None, "ask `can_step` first"
        self.made, self.model = made, model
        self.joined = JoinedStep(model, Kept, has_mtp=has_mtp)
        self.held: list[object] = []  # the C++ reads their memory
        halves = [*self.joined.layers, *([self.joined.deeper] if has_mtp else [])]
        self.layers = (native.Layer * len(halves))(*map(self._layer, halves))
        config = model.config
        self.head = self._matrix(model.lm_head.weight)
        # MTP modules read one place further.
        places = torch.arange(config.max_position_embeddings + 1)
        turn = rope.rotation(places, model.inverse_freq, config)
        self.turn = torch.stack(turn, dim=-1)
        self.sizes = native.Sizes(
            width=config.hidden_size,
            heads=config.num_attention_heads,
            rank=config.kv_lora_rank,
            turned=config.qk_rope_head_dim,
            experts=config.n_routed_experts,
            chosen=config.num_experts_per_tok,
            eps=config.rms_norm_eps,
            latent_eps=mla.LATENT_EPS,
            times=config.routed_scaling_factor,
            tiny=moe.TINY,
            has_unit_weights=config.norm_topk_prob,
        )

    def __call__(
        self, token: Tensor, cache: Cache, pad: Tensor | None = None
    ) -> Tensor:
        """As `JoinedStep` does. Shapes: token, pad [B]; returns [B, V]."""
        column = torch.full_like(token, cache.length)
        firsts = torch.zeros_like(token) if pad is None else pad
        hidden = self.hidden(token, one_each(firsts, column), cache.buffers)
        cache.advance(1)
        return self.scores(hidden, torch.arange(len(token))).scores

    def hidden(
        self,
        token: Tensor,
        texts: Texts,
        buffers: Sequence[Tensor],
        wanted: Tensor | None = None,
    ) -> Tensor:
        """The states after the last norm, of new tokens of some texts.

        Args:
            token: those of a text stand together, in their order.
            texts: whose they are.
            buffers: the cache of each layer, in blocks.
            wanted: places of the tokens whose states are asked for, in order; all, if
                it is not given. The others leave the last layer early.

        Shapes:
            token: [N]; each buffer [blocks, block_size, F]; wanted: [M]; returns
            [M, D], or [N, D].
        """
        layers, norm = self.model.config.num_hidden_layers, self.model.norm
        count = len(token if wanted is None else wanted)
        states = torch.empty(count, self.sizes.width)
        asked = token.contiguous(), wanted
        self._read(states, texts, 0, buffers[:layers], norm, *asked)
        return states

    def scores(self, hidden: Tensor, rows: Tensor) -> Scored:
        """What may come after some of the tokens whose states were found.

        Shapes:
            hidden: [N, D]; rows: [M], places in it.
        """
        count, outputs = len(rows), self.head.outputs
        scores = torch.empty(count, outputs + -outputs % self.made.sparrow_panel())
        best = torch.empty(count, dtype=torch.long)
        self.made.sparrow_scores(
            byref(self.head),
            c_void_p(hidden.data_ptr()),
            c_void_p(rows.data_ptr()),
            c_int64(count),
            torch.get_num_threads(),
            c_void_p(scores.data_ptr()),
            c_void_p(best.data_ptr()),
        )
        return Scored(scores[:, :outputs], best)

    def further(
        self, hidden: Tensor, token: Tensor, texts: Texts, buffers: Sequence[Tensor]
    ) -> Tensor:
        """What the first MTP module makes of them. See `JoinedStep.further`."""
        module, layers = self.joined.module, self.model.config.num_hidden_layers
        embedded = module.enorm(self.model.embed_tokens(token))
        deeper = module.eh_proj(torch.cat((embedded, module.hnorm(hidden)), dim=-1))
        self._read(deeper, texts, layers, buffers[layers:], module.shared_head.norm)
        return deeper

    def _read(
        self,
        states: Tensor,
        texts: Texts,
        first: int,
        buffers: Sequence[Tensor],
        norm: RMSNorm,
        token: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> None:
        """Take states [N, D], or what is embedded, through some layers and a norm."""
        tables = texts.tables.contiguous()
        batch = native.Batch(
            texts=len(tables),
            pages=tables.shape[1],
            block=buffers[0].shape[1],
            wants=-1 if wanted is None else len(wanted),
            begins=texts.begins.data_ptr(),
            firsts=texts.firsts.data_ptr(),
            columns=texts.columns.data_ptr(),
            positions=texts.positions.data_ptr(),
            tables=tables.data_ptr(),
            tokens=None if token is None else token.data_ptr(),
            wanted=None if wanted is None else wanted.data_ptr(),
            embedding=self.model.embed_tokens.weight.data_ptr(),
            turn=self.turn.data_ptr(),
            scale=norm.weight.data_ptr(),
        )
        for layer, buffer in zip(self.layers[first:], buffers, strict=False):
            layer.rows = buffer.data_ptr()
        self.sizes.layers = len(buffers)
        self.made.sparrow_step(
            byref(self.layers, first * ctypes.sizeof(native.Layer)),
            byref(self.sizes),
            byref(batch),
            torch.get_num_threads(),
            c_void_p(states.data_ptr()),
        )

    def _layer(
        self, halves: tuple[LatentPart | HeadsPart, ExpertsPart | DensePart]
    ) -> native.Layer:
        """One layer as the C++ knows it."""
        attention, feed_forward = halves
        assert isinstance(attention, LatentPart)
        layer = native.Layer(
            joint=self._matrix(_weight(attention.joint)),
            out=self._matrix(attention.out.T),
            latent_scale=self._hold(attention.latent_scale),
        )
        for_all = (
            feed_forward.swiglu
            if isinstance(feed_forward, DensePart)
            else feed_forward.shared
        )
        if for_all is not None:
            pair = _weight(for_all.gate_up), _weight(for_all.down)
            layer.all = self._feed_forward(*pair)
        if isinstance(feed_forward, ExpertsPart):
            layer.gate = self._matrix(feed_forward.gate)
            layer.bias = self._hold(feed_forward.bias)
            pairs = zip(feed_forward.gate_up, feed_forward.down, strict=True)
            experts = [self._feed_forward(*each) for each in pairs]
            layer.experts = (native.FeedForward * len(experts))(*experts)
        return layer

    def _feed_forward(self, gate_up: Tensor, down: Tensor) -> native.FeedForward:
        return native.FeedForward(
            gate_up=self._matrix(gate_up), down=self._matrix(down)
        )

    def _matrix(self, weight: Tensor) -> native.Matrix:
        """Cut a matrix [O, I] into panels of some outputs, [O / P, I, P]."""
        outputs, inputs = weight.shape
        panel = self.made.sparrow_panel()
        filled = F.pad(weight, (0, 0, 0, -outputs % panel))
        panels = filled.unflatten(0, (-1, panel)).mT.contiguous()
        return native.Matrix(panels=self._hold(panels), outputs=outputs, inputs=inputs)

    def _hold(self, tensor: Tensor) -> int:
        """Keep a tensor alive; where it lies."""
        self.held.append(tensor)
        return tensor.data_ptr()


def _weight(matrix: Matrix) -> Tensor:
    assert isinstance(matrix, Kept), "it was joined to be laid out here"
    return matrix.weight


def one_each(firsts: Tensor, columns: Tensor) -> Texts:
    """One new token for each text, whose cache is one block. Shapes: [B], [B]."""
    count = torch.arange(len(columns) + 1)
    return Texts(
        begins=count,
        firsts=firsts,
        columns=columns,
        positions=columns - firsts,
        tables=count[:-1, None],
    )
