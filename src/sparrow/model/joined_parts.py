"""The halves of a layer with their small matrices joined into few large ones.

Each adds its answer to the states of tokens that may belong to different texts. The
scale of the norm before it is part of its first matrix.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow.model import gqa, mla, moe
from sparrow.model.block import Block

__all__ = [
    "DensePart",
    "ExpertsPart",
    "HeadsPart",
    "Join",
    "LatentPart",
    "Matrix",
    "Mix",
    "unit",
    "whole",
]

Keep = Callable[[Tensor], "Matrix"]  # how a matrix is kept
Matrix = Callable[[Tensor], Tensor]  # x -> x Wᵀ
# A layer, its queries [N, H, E] and new rows [N, F] -> what attention gives [N, H, C].
Mix = Callable[[int, Tensor, Tensor], Tensor]


class Join(Protocol):
    """Make one matrix of those of several modules, one below the other."""

    def __call__(
        self,
        parts: Sequence[nn.Module],
        *,
        columns: Tensor | None = None,
        order: Tensor | None = None,
    ) -> Matrix:
        """Multiply by their matrices at once.

        Args:
            parts: what has a `weight`.
            columns: what the vector is multiplied by first; None: nothing.
            order: the rows of the joined matrix, as they shall stand.

        Shapes:
            each weight [O, I]; columns: [I]; order: [sum of O].
        """
        ...


def whole(keep: Keep) -> Join:
    """Join matrices that are floating point numbers; they take `columns` in."""

    def join(
        parts: Sequence[nn.Module],
        *,
        columns: Tensor | None = None,
        order: Tensor | None = None,
    ) -> Matrix:
        weight = torch.cat([_weight(each) for each in parts])
        weight = weight if order is None else weight[order]
        return keep(weight if columns is None else weight * columns)

    return join


def _weight(part: nn.Module) -> Tensor:
    weight = part.weight
    assert isinstance(weight, Tensor)
    return weight


def unit(x: Tensor, eps: float) -> Tensor:
    """RMSNorm without its weight, which the next matrix has taken in."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)


class LatentPart:
    """The absorbed form of latent attention, absorbed for good.

    W_uk joins the query's matrix and W_uv the output's, so a query is made in the
    latent space and the mixture of latents goes straight into the output.
    """

    def __init__(self, block: Block, keep: Keep) -> None:
        attention, config = block.self_attn, block.self_attn.config
        assert isinstance(attention, mla.LatentAttention)
        self.config, self.eps = config, block.input_layernorm.eps
        heads, rank = config.num_attention_heads, config.kv_lora_rank
        w_up_key, w_up_value = attention.up_projections()
        last = attention.q_proj if config.q_lora_rank is None else attention.q_b_proj
        q_nope, q_rope = last.weight.unflatten(0, (heads, -1)).split(
            [config.qk_nope_head_dim, config.qk_rope_head_dim], 1
        )
        q_latent = torch.einsum("hnd,hnc->hcd", q_nope, w_up_key)
        query = torch.cat((q_latent.flatten(0, 1), q_rope.flatten(0, 1)))
        query *= attention.scale
        latent, k_rope = attention.kv_a_proj_with_mqa.weight.split(
            [rank, config.qk_rope_head_dim]
        )
        first = query
        if config.q_lora_rank is not None:
            first = attention.q_a_proj.weight
            self.query = keep(query * attention.q_a_layernorm.weight)
        # What is rotated stands side by side: all heads' queries, then the key.
        joint = torch.cat((first, k_rope, latent)) * block.input_layernorm.weight
        self.joint = keep(joint)
        self.latent_scale = attention.kv_a_layernorm.weight
        w_out = attention.o_proj.weight.unflatten(1, (heads, -1))
        self.out = torch.einsum("dhv,hvc->hcd", w_out, w_up_value).flatten(0, 1)

    def __call__(
        self,
        hidden: Tensor,
        turn: Tensor,
        mix: Mix,
        layer: int,
    ) -> None:
        """Add to `hidden` [N, D] what attention gives; `turn` rotates pairs."""
        config = self.config
        heads, rank = config.num_attention_heads, config.kv_lora_rank
        joint = self.joint(unit(hidden, self.eps))
        latent = unit(joint[:, -rank:], mla.LATENT_EPS) * self.latent_scale
        if config.q_lora_rank is not None:
            low = unit(joint[:, : config.q_lora_rank], mla.LATENT_EPS)
            rest = joint[:, config.q_lora_rank :]
            joint = torch.cat((self.query(low), rest), dim=-1)
        pairs = joint[:, heads * rank : -rank].unflatten(1, (heads + 1, -1, 2))
        turned = torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(2)
        q_latent = joint[:, : heads * rank].unflatten(1, (heads, rank))
        query = torch.cat((q_latent, turned[:, :heads]), dim=-1)  # [N, H, C + R]
        row = torch.cat((latent, turned[:, heads]), dim=-1)
        hidden.addmm_(mix(layer, query, row).flatten(1), self.out)


class HeadsPart:
    """Grouped-query attention; queries and keys are made and turned together.

    Llama turns features i and i + D/2 as a pair. Here the rows of the weights change
    places so that pairs are neighbours: queries and keys alike, so their products stay.
    """

    def __init__(self, block: Block, join: Join) -> None:
        attention, self.config = block.self_attn, block.self_attn.config
        assert isinstance(attention, gqa.GroupedQueryAttention)
        config, self.eps = self.config, block.input_layernorm.eps
        heads, groups = config.num_attention_heads, config.num_key_value_heads
        order = torch.arange((heads + 2 * groups) * config.head_dim)
        turned = order[: (heads + groups) * config.head_dim]
        pairs = turned.unflatten(0, (-1, 2, config.head_dim // 2)).transpose(1, 2)
        order = torch.cat((pairs.flatten(), order[len(turned) :]))
        self.joint = join(
            (attention.q_proj, attention.k_proj, attention.v_proj),
            columns=block.input_layernorm.weight,
            order=order,
        )
        self.out = join((attention.o_proj,))

    def __call__(self, hidden: Tensor, turn: Tensor, mix: Mix, layer: int) -> None:
        """Add to `hidden` [N, D] what attention gives; `turn` rotates pairs."""
        heads, groups = self.config.num_attention_heads, self.config.num_key_value_heads
        joint = self.joint(unit(hidden, self.eps))
        split = (heads + groups) * self.config.head_dim
        pairs = joint[:, :split].unflatten(1, (heads + groups, -1, 2))
        turned = torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(2)
        row = torch.cat((turned[:, heads:].flatten(1), joint[:, split:]), dim=-1)
        hidden += self.out(mix(layer, turned[:, :heads], row).flatten(1))


class DensePart:
    """SwiGLU with one matrix in, [gate; up], and one out."""

    def __init__(self, block: Block, join: Join) -> None:
        assert isinstance(block.mlp, moe.DenseFeedForward)
        self.eps = block.post_attention_layernorm.eps
        self.swiglu = _SwiGLU(block.mlp, block.post_attention_layernorm.weight, join)

    def __call__(self, hidden: Tensor) -> None:
        """Add the answer to `hidden`, [N, D]."""
        hidden += self.swiglu(unit(hidden, self.eps))


class _SwiGLU:
    """Gate and up as one matrix, which has taken in the scale of the norm before."""

    def __init__(self, part: moe.DenseFeedForward, scale: Tensor, join: Join) -> None:
        self.gate_up = join((part.gate_proj, part.up_proj), columns=scale)
        self.down = join((part.down_proj,))

    def __call__(self, x: Tensor) -> Tensor:
        """down(silu(gate x) · up x)."""
        gated, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gated) * up)


class ExpertsPart:
    """Routed experts on equal slices, and the shared ones as one matrix each way."""

    def __init__(self, block: Block, join: Join) -> None:
        part, scale = block.mlp, block.post_attention_layernorm.weight
        assert isinstance(part, moe.ExpertFeedForward)
        self.config, self.eps = part.config, block.post_attention_layernorm.eps
        self.gate = part.gate.weight * scale
        self.bias = part.gate.e_score_correction_bias
        # Batched products in oneDNN copy what does not lie in their order.
        self.gate_up = (part.experts.gate_up_proj * scale).mT.contiguous().mT
        self.down = part.experts.down_proj.mT.contiguous().mT
        self.shared = None
        if part.shared_experts is not None:
            self.shared = _SwiGLU(part.shared_experts, scale, join)

    def __call__(self, hidden: Tensor) -> None:
        """Add the answers to `hidden`, [N, D]."""
        x = unit(hidden, self.eps)
        routing = moe.gate(x, self.gate, self.bias, self.config)
        hidden += moe.mix_experts(x, routing, self.gate_up, self.down)
        if self.shared is not None:
            hidden += self.shared(x)
