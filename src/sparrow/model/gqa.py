"""Let several query heads share one key and one value: grouped-query attention.

The attention of Llama and SmolLM2 (Ainslie et al., arXiv:2305.13245).
"""

import torch
from torch import Tensor, nn

from sparrow.config import Config
from sparrow.model import attend, rope
from sparrow.model.cache import Cache
from sparrow.model.linear import Linear
from sparrow.model.rope import Rotation

__all__ = ["GroupedQueryAttention"]


class GroupedQueryAttention(nn.Module):
    """Grouped-query attention, named as in Llama checkpoints.

    Shapes: [B, T, D] -> [B, T, D].
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, head_dim = config.hidden_size, config.head_dim
        kv_width = config.num_key_value_heads * head_dim
        self.q_proj = Linear(width, config.num_attention_heads * head_dim)
        self.k_proj = Linear(width, kv_width)
        self.v_proj = Linear(width, kv_width)
        self.o_proj = Linear(config.num_attention_heads * head_dim, width)
        self.scale = rope.attention_scale(config, head_dim)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
        absorb: bool | None = None,
    ) -> Tensor:
        """Attend to this and earlier tokens; arguments as in `LatentAttention`.

        `absorb` has no meaning here: keys are kept as they are.
        """
        config = self.config
        query = self.q_proj(hidden).unflatten(-1, (-1, config.head_dim))
        key = self.k_proj(hidden).unflatten(-1, (-1, config.head_dim))
        query = rope.rotate_halves(query, *rotation)  # [B, T, H, R]
        key = rope.rotate_halves(key, *rotation)
        value = self.v_proj(hidden)
        if cache is not None:
            rows = cache.append(layer, torch.cat((key.flatten(-2), value), dim=-1))
            key, value = rows.chunk(2, dim=-1)
            key = key.unflatten(-1, (-1, config.head_dim))
        value = value.unflatten(-1, (-1, config.head_dim))
        context = attend.attend(query, key, value, mask, self.scale)
        return self.o_proj(context.flatten(-2))
