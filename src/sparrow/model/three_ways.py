"""Take the same attention step in three ways, so that they can be timed side by side.

Only one layer is made, and only what lies between the query and the heads' values. So
even a layer of DeepSeek-V3's size fits into a laptop.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.config import Config
from sparrow.model import mla

__all__ = ["Layer", "random_layer", "three_ways"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One new token, a past that ends with it, and the matrices of one layer.

    Shapes, with the letters of `mla`:
        q_nope: [1, 1, H, N]; q_rope: [1, 1, H, R]; latent: [1, K, C];
        k_rope: [1, K, R]; w_up_key: [H, N, C]; w_up_value: [H, V, C].
    """

    q_nope: Tensor
    q_rope: Tensor
    latent: Tensor
    k_rope: Tensor
    w_up_key: Tensor
    w_up_value: Tensor
    scale: float


def random_layer(config: Config, past_tokens: int, generator: torch.Generator) -> Layer:
    """A layer of this shape with random numbers, on the CPU."""
    heads, c = config.num_attention_heads, config.kv_lora_rank
    n, r = config.qk_nope_head_dim, config.qk_rope_head_dim

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return Layer(
        q_nope=drawn(1, 1, heads, n),
        q_rope=drawn(1, 1, heads, r),
        latent=drawn(1, past_tokens, c),
        k_rope=drawn(1, past_tokens, r),
        w_up_key=drawn(heads, n, c) * c**-0.5,
        w_up_value=drawn(heads, config.v_head_dim, c) * c**-0.5,
        scale=(n + r) ** -0.5,
    )


def three_ways(layer: Layer) -> dict[str, Callable[[], Tensor]]:
    """Functions that each take the step, by what was kept of the past.

    Returns:
        "keep all", "rebuild" and "absorb"; each returns [1, 1, H, V], all the same.
    """

    def expand() -> mla.Expanded:
        return mla.expand(layer.latent, layer.w_up_key, layer.w_up_value)

    # A cache of keys and values lies head by head, [1, H, K, features], so that each
    # head reads one piece of memory; the letters' order is a view of it.
    kept = mla.Expanded(
        *(each.transpose(1, 2).contiguous().transpose(1, 2) for each in expand())
    )

    def keep() -> Tensor:
        newest = mla.expand(layer.latent[:, -1:], layer.w_up_key, layer.w_up_value)
        kept.k_nope[:, -1:] = newest.k_nope
        kept.value[:, -1:] = newest.value
        return attend(kept)

    def attend(past: mla.Expanded) -> Tensor:
        scores = mla.expanded_scores(
            layer.q_nope, layer.q_rope, past.k_nope, layer.k_rope, layer.scale
        )
        weights = scores.softmax(dim=-1)
        return torch.einsum("bhqk,bkhv->bqhv", weights, past.value)

    def absorb() -> Tensor:
        scores = mla.absorbed_scores(
            layer.q_nope,
            layer.q_rope,
            layer.latent,
            layer.k_rope,
            layer.w_up_key,
            layer.scale,
        )
        weights = scores.softmax(dim=-1)
        return mla.absorbed_context(weights, layer.latent, layer.w_up_value)

    return {
        "keep all": keep,
        "rebuild": lambda: attend(expand()),
        "absorb": absorb,
    }
