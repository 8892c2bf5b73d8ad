"""Keep one small latent a token and rebuild every head's keys and values from it.

Multi-head latent attention (DeepSeek-V3, arXiv:2412.19437, section 2.1.1). The
expanded form rebuilds keys and values and then attends: good for many new tokens.
The absorbed form moves the rebuilding matrices to the query and to the result, and
attends over the latents themselves: good for one new token over a long past. They
give the same numbers.

Letters in the einsums: b sequence, q query, k key, h head, c latent feature,
n feature without position, r rotated feature, v value feature.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow.config import Config
from sparrow.model import attend, norm, rope
from sparrow.model.cache import Cache
from sparrow.model.linear import Linear
from sparrow.model.rope import Rotation

__all__ = [
    "Expanded",
    "LatentAttention",
    "absorbed_context",
    "absorbed_scores",
    "compress",
    "expand",
    "expanded_scores",
]

LATENT_EPS = 1e-6  # DeepSeek's own code fixes it, whatever rms_norm_eps says


class Expanded(NamedTuple):
    """Keys and values of every head, rebuilt. Shapes: [B, K, H, N], [B, K, H, V]."""

    k_nope: Tensor
    value: Tensor


def compress(
    hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
) -> tuple[Tensor, Tensor]:
    """Press each token into a latent, and one key that will carry its position.

    Args:
        hidden: what the layer receives.
        w_down: `kv_a_proj_with_mqa`, the joint down-projection.
        norm_weight: the scale of the latent's RMSNorm.
        kv_lora_rank: C, how many features the latent has.

    Shapes:
        hidden: [B, T, D]; w_down: [C + R, D]; norm_weight: [C];
        returns latent [B, T, C] and k_rope [B, T, R], not yet rotated.

    Source: arXiv:2412.19437, equations 1 and 3.
    """
    # 1. One projection makes both: [B, T, C + R].
    joint = F.linear(hidden, w_down)
    # 2. The first C features are the latent, the rest is the shared key.
    latent, k_rope = joint.split([kv_lora_rank, joint.shape[-1] - kv_lora_rank], -1)
    # 3. Only the latent is normalised.
    return norm.rms_norm(latent, norm_weight, LATENT_EPS), k_rope


def expand(latent: Tensor, w_up_key: Tensor, w_up_value: Tensor) -> Expanded:
    """Rebuild every head's keys and values from the latents.

    Shapes:
        latent: [B, K, C]; w_up_key: [H, N, C]; w_up_value: [H, V, C]; see `Expanded`.

    Source: arXiv:2412.19437, equations 2 and 5.
    """
    # 1. Each head has its own matrix from latent to key.
    k_nope = torch.einsum("bkc,hnc->bkhn", latent, w_up_key)
    # 2. And its own from latent to value.
    value = torch.einsum("bkc,hvc->bkhv", latent, w_up_value)
    return Expanded(k_nope, value)


def expanded_scores(
    q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, scale: float
) -> Tensor:
    """Score every key for every query, with the keys rebuilt.

    Args:
        q_nope: the part of each query that carries no position.
        q_rope: the rotated part of each query.
        k_nope: rebuilt keys, one for each head.
        k_rope: the rotated key, one for all heads.
        scale: what the scores are multiplied by, usually 1/√(N + R).

    Shapes:
        q_nope: [B, Q, H, N]; q_rope: [B, Q, H, R]; k_nope: [B, K, H, N];
        k_rope: [B, K, R]; returns [B, H, Q, K].

    Source: arXiv:2412.19437, equation 10.
    """
    # 1. What the token means: each head compares with its own keys.
    content = torch.einsum("bqhn,bkhn->bhqk", q_nope, k_nope)
    # 2. Where the token stands: all heads compare with the same rotated key.
    position = torch.einsum("bqhr,bkr->bhqk", q_rope, k_rope)
    # 3. Add the two, then scale.
    return (content + position) * scale


def absorbed_scores(
    q_nope: Tensor,
    q_rope: Tensor,
    latent: Tensor,
    k_rope: Tensor,
    w_up_key: Tensor,
    scale: float,
) -> Tensor:
    """Score every key for every query, without rebuilding a single key.

    The matrix that would rebuild the keys moves to the query's side:
    q · (W c) = (Wᵀ q) · c. A query is carried once; keys would be rebuilt K times.

    Args:
        q_nope: the part of each query that carries no position.
        q_rope: the rotated part of each query.
        latent: the cached latents.
        k_rope: the cached rotated key, one for all heads.
        w_up_key: what would rebuild the keys.
        scale: what the scores are multiplied by, usually 1/√(N + R).

    Shapes:
        q_nope: [B, Q, H, N]; q_rope: [B, Q, H, R]; latent: [B, K, C];
        k_rope: [B, K, R]; w_up_key: [H, N, C]; returns [B, H, Q, K].

    Source: arXiv:2405.04434, section 2.1.2, and arXiv:2412.19437, section 2.1.1.
    """
    # 1. Carry each query into the latent space: [B, Q, H, C].
    q_latent = torch.einsum("bqhn,hnc->bqhc", q_nope, w_up_key)
    # 2. Compare it there with the latents, which all heads share.
    content = torch.einsum("bqhc,bkc->bhqk", q_latent, latent)
    # 3. Compare positions: each rotated query with the one rotated key of a token.
    position = torch.einsum("bqhr,bkr->bhqk", q_rope, k_rope)
    # 4. Add the two, then scale.
    return (content + position) * scale


def absorbed_context(weights: Tensor, latent: Tensor, w_up_value: Tensor) -> Tensor:
    """Mix the latents by attention weight, and rebuild a value from the mixture only.

    Shapes:
        weights: [B, H, Q, K]; latent: [B, K, C]; w_up_value: [H, V, C];
        returns [B, Q, H, V].

    Source: arXiv:2405.04434, section 2.1.2.
    """
    # 1. Mix first, in the latent space: [B, Q, H, C].
    mixed = torch.einsum("bhqk,bkc->bqhc", weights, latent)
    # 2. Then rebuild one value for each query and head.
    return torch.einsum("bqhc,hvc->bqhv", mixed, w_up_value)


class LatentAttention(nn.Module):
    """Multi-head latent attention with its weights, named as in published checkpoints.

    Shapes: [B, T, D] -> [B, T, D].
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        heads, width = config.num_attention_heads, config.hidden_size
        head_dim = config.qk_nope_head_dim + config.qk_rope_head_dim
        if config.q_lora_rank is None:
            self.q_proj = Linear(width, heads * head_dim)
        else:
            rank = config.q_lora_rank
            self.q_a_proj = Linear(width, rank)
            self.q_a_layernorm = norm.RMSNorm(rank, LATENT_EPS)
            self.q_b_proj = Linear(rank, heads * head_dim)
        self.kv_a_proj_with_mqa = Linear(
            width, config.kv_lora_rank + config.qk_rope_head_dim
        )
        self.kv_a_layernorm = norm.RMSNorm(config.kv_lora_rank, LATENT_EPS)
        self.kv_b_proj = Linear(
            config.kv_lora_rank, heads * (config.qk_nope_head_dim + config.v_head_dim)
        )
        self.o_proj = Linear(heads * config.v_head_dim, width)
        self.scale = rope.attention_scale(config, head_dim)

    def queries(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Each head's query, split: [B, T, H, N] and [B, T, H, R], not yet rotated."""
        if self.config.q_lora_rank is None:
            joint = self.q_proj(hidden)
        else:
            joint = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(hidden)))
        config = self.config
        joint = joint.unflatten(-1, (config.num_attention_heads, -1))
        return joint.split([config.qk_nope_head_dim, config.qk_rope_head_dim], -1)

    def up_projections(self) -> tuple[Tensor, Tensor]:
        """`kv_b_proj` as two matrices a head: keys [H, N, C] and values [H, V, C]."""
        config = self.config
        joint = self.kv_b_proj.weight.unflatten(0, (config.num_attention_heads, -1))
        return joint.split([config.qk_nope_head_dim, config.v_head_dim], 1)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
        absorb: bool | None = None,
    ) -> Tensor:
        """Attend to this and earlier tokens.

        Args:
            hidden: [B, T, D].
            rotation: the angles of these T tokens.
            mask: [B or 1, 1, T, K], True where a query may look; None: all the past.
            cache: the past, which grows by T; None: there is no past.
            layer: which layer's cache.
            absorb: choose the form; None: absorbed for a single new token.
        """
        q_nope, q_rope = self.queries(hidden)
        latent, k_rope = compress(
            hidden,
            self.kv_a_proj_with_mqa.weight,
            self.kv_a_layernorm.weight,
            self.config.kv_lora_rank,
        )
        q_rope = rope.rotate_pairs(q_rope, *rotation)
        k_rope = rope.rotate_pairs(k_rope[:, :, None], *rotation)[:, :, 0]
        if cache is not None:
            rows = cache.append(layer, torch.cat((latent, k_rope), dim=-1))
            latent, k_rope = rows.split(
                [self.config.kv_lora_rank, self.config.qk_rope_head_dim], -1
            )
        if absorb is None:
            absorb = cache is not None and hidden.shape[1] == 1
        form = self._absorbed if absorb else self._expanded
        context = form(q_nope, q_rope, latent, k_rope, mask)
        return self.o_proj(context.flatten(-2))

    def _expanded(
        self,
        q_nope: Tensor,
        q_rope: Tensor,
        latent: Tensor,
        k_rope: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Rebuild keys and values, then attend as any transformer does."""
        k_nope, value = expand(latent, *self.up_projections())
        if attend.is_short(q_nope.device, latent.shape[1]):
            scores = expanded_scores(q_nope, q_rope, k_nope, k_rope, self.scale)
            weights = attend.softmax(scores, mask).to(value.dtype)
            return torch.einsum("bhqk,bkhv->bqhv", weights, value)
        shared = k_rope[:, :, None].expand(-1, -1, k_nope.shape[2], -1)
        query = torch.cat((q_nope, q_rope), dim=-1)
        key = torch.cat((k_nope, shared), dim=-1)
        return attend.attend_fused(query, key, value, mask, self.scale)

    def _absorbed(
        self,
        q_nope: Tensor,
        q_rope: Tensor,
        latent: Tensor,
        k_rope: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Attend over the latents themselves."""
        w_up_key, w_up_value = self.up_projections()
        scores = absorbed_scores(q_nope, q_rope, latent, k_rope, w_up_key, self.scale)
        weights = attend.softmax(scores, mask).to(latent.dtype)
        return absorbed_context(weights, latent, w_up_value)
