"""Write one more token with few large products in place of many small ones.

For a batch of sequences that all write one token, `Sparrow.hidden` spends its time on
small matrices and small steps. Here the weights are joined once for many tokens: those
that read the same vector become one matrix, and so do those that follow each other
with nothing between them. The numbers are the same up to rounding; the obvious twin
is `Sparrow.hidden` followed by `Sparrow.logits`.

Weights are read again each time a `JoinedStep` is made, so it never goes stale
between two steps of training. For pico this takes about a millisecond.
"""

from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow import runtime
from sparrow.model import attend, mla, moe, norm, rope, transformer
from sparrow.model.block import Block
from sparrow.model.cache import Cache
from sparrow.model.linear import Linear
from sparrow.model.mtp import MultiTokenPrediction, SharedHead

__all__ = ["JoinedStep", "can_join"]

PARTS = (
    Block,
    Linear,
    MultiTokenPrediction,
    SharedHead,
    mla.LatentAttention,
    moe.DenseFeedForward,
    moe.ExpertFeedForward,
    moe.Experts,
    moe.Gate,
    norm.RMSNorm,
    transformer.Sparrow,
    nn.Embedding,
    nn.ModuleList,
)


def can_join(model: transformer.Sparrow) -> bool:
    """Whether a `JoinedStep` would do exactly what the model does, and faster.

    Not if a part was replaced or is being watched: a learner's function, a quantised
    matrix or a hook on a module must see every token.
    """
    return (
        model.config.attention == "mla"
        and model.device.type == "cpu"
        and model.dtype == torch.float32
        and all(type(part) in PARTS for part in model.modules())
        and not any(
            part._forward_hooks or part._forward_pre_hooks for part in model.modules()
        )
        and all(_is_own(module) for module in (attend, mla, moe, norm, rope))
    )


def _is_own(module: ModuleType) -> bool:
    """Whether the module's public functions, and its layers' methods, are its own."""
    found = [getattr(module, name) for name in module.__all__]
    for layer in [each for each in found if isinstance(each, type)]:
        if issubclass(layer, nn.Module):
            found += [each for each in vars(layer).values() if callable(each)]
    return all(each.__module__ == module.__name__ for each in found)


class JoinedStep:
    """One step of decoding for many sequences, on weights joined beforehand.

    Shapes: token [B] -> logits [B, V].
    """

    def __init__(self, model: transformer.Sparrow) -> None:
        self.model = model
        self.layers: list[tuple[_Attention, _Experts | _Dense]] = []
        for block in model.layers:
            assert isinstance(block, Block), "a model is made of blocks"
            is_moe = isinstance(block.mlp, moe.ExpertFeedForward)
            feed_forward = _Experts(block) if is_moe else _Dense(block)
            self.layers.append((_Attention(block), feed_forward))

    def __call__(
        self, token: Tensor, cache: Cache, pad: Tensor | None = None
    ) -> Tensor:
        """Append one token to every sequence; score the next one.

        Args:
            token: the newest token of each sequence.
            cache: the past, which grows by one column.
            pad: how many columns of a sequence are empty, at its left; None: none.

        Shapes:
            token: [B]; pad: [B]; returns [B, V].
        """
        model, column = self.model, cache.length
        positions = torch.tensor([column]) if pad is None else column - pad
        cos, sin = rope.rotation(positions, model.inverse_freq, model.config)
        turn = torch.complex(cos, sin)[:, None]  # [B or 1, 1, R/2]
        empty = None  # where a sequence has no token: [B, 1, K]
        if pad is not None:
            empty = torch.arange(column + 1) < pad[:, None, None]
        hidden = model.embed_tokens(token)
        with runtime.fast_matmul():
            for layer, (attention, feed_forward) in enumerate(self.layers):
                attention(hidden, turn, empty, cache, layer)
                feed_forward(hidden)
            logits = model.logits(model.norm(hidden))
        cache.advance(1)
        return logits


def _unit(x: Tensor, eps: float) -> Tensor:
    """RMSNorm without its weight, which the next matrix has taken in."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)


class _Attention:
    """The absorbed form of latent attention, absorbed for good.

    W_uk joins the query's matrix and W_uv the output's, so a query is made in the
    latent space and the mixture of latents goes straight into the output.
    """

    def __init__(self, block: Block) -> None:
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
            self.query = query * attention.q_a_layernorm.weight
        # What is rotated stands side by side: all heads' queries, then the key.
        self.joint = torch.cat((first, k_rope, latent)) * block.input_layernorm.weight
        self.latent_scale = attention.kv_a_layernorm.weight
        w_out = attention.o_proj.weight.unflatten(1, (heads, -1))
        self.out = torch.einsum("dhv,hvc->hcd", w_out, w_up_value).flatten(0, 1)

    def __call__(
        self,
        hidden: Tensor,
        turn: Tensor,
        empty: Tensor | None,
        cache: Cache,
        layer: int,
    ) -> None:
        """Add to `hidden` [B, D] what attention gives; `turn` rotates pairs."""
        config = self.config
        heads, rank = config.num_attention_heads, config.kv_lora_rank
        joint = F.linear(_unit(hidden, self.eps), self.joint)
        latent = _unit(joint[:, -rank:], mla.LATENT_EPS) * self.latent_scale
        if config.q_lora_rank is not None:
            low = _unit(joint[:, : config.q_lora_rank], mla.LATENT_EPS)
            rest = joint[:, config.q_lora_rank :]
            joint = torch.cat((F.linear(low, self.query), rest), dim=-1)
        pairs = joint[:, heads * rank : -rank].unflatten(1, (heads + 1, -1, 2))
        turned = torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(2)
        q_latent = joint[:, : heads * rank].unflatten(1, (heads, rank))
        query = torch.cat((q_latent, turned[:, :heads]), dim=-1)  # [B, H, C + R]
        row = torch.cat((latent, turned[:, heads]), dim=-1)
        rows = cache.append(layer, row[:, None])  # [B, K, C + R]
        # Small products: MKL makes them where they lie, oneDNN copies them first.
        with runtime.fast_matmul("mkl"):
            scores = torch.bmm(query, rows.mT)
            if empty is not None:
                scores.masked_fill_(empty, float("-inf"))
            mixed = torch.bmm(scores.softmax(dim=-1), rows[..., :rank])
        hidden.addmm_(mixed.flatten(1), self.out)


class _Dense:
    """SwiGLU with one matrix in, [gate; up], and one out."""

    def __init__(self, block: Block) -> None:
        assert isinstance(block.mlp, moe.DenseFeedForward)
        self.eps = block.post_attention_layernorm.eps
        self.gate_up = _gate_up(block.mlp) * block.post_attention_layernorm.weight
        self.down = block.mlp.down_proj.weight

    def __call__(self, hidden: Tensor) -> None:
        """Add the answer to `hidden`, [B, D]."""
        hidden += moe.swiglu(_unit(hidden, self.eps), self.gate_up, self.down)


def _gate_up(part: moe.DenseFeedForward) -> Tensor:
    return torch.cat((part.gate_proj.weight, part.up_proj.weight))


class _Experts:
    """Routed experts on equal slices, and the shared ones as one matrix each way."""

    def __init__(self, block: Block) -> None:
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
            shared = part.shared_experts
            self.shared = _gate_up(shared) * scale, shared.down_proj.weight

    def __call__(self, hidden: Tensor) -> None:
        """Add the answers to `hidden`, [B, D]."""
        x = _unit(hidden, self.eps)
        routing = moe.gate(x, self.gate, self.bias, self.config)
        hidden += moe.mix_experts(x, routing, self.gate_up, self.down)
        if self.shared is not None:
            hidden += moe.swiglu(x, *self.shared)
