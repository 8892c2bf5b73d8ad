"""Small models with experts, and numbers drawn for them."""

from typing import Any

import torch
from torch import Tensor

from sparrow.config import Config

__all__ = ["RTOL", "drawn", "fields", "some"]

RTOL = 1e-4  # float32, and room for another order of summation

BASE: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 64,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "moe_intermediate_size": 8,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
}


def fields(experts: int, chosen: int, **others: Any) -> dict[str, Any]:
    """The fields of a small model; they describe one that can be."""
    found = {
        **BASE,
        "n_routed_experts": experts,
        "num_experts_per_tok": chosen,
        **others,
    }
    Config(**found)
    return found


def drawn(generator: torch.Generator, *shape: int, size: float = 1.0) -> Tensor:
    """Numbers from a bell curve of width `size`."""
    return torch.randn(*shape, generator=generator) * size


def some(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))
