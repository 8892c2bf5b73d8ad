"""One layer: look at other tokens, then think about each one alone."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from sparrow.config import Config
from sparrow.model import norm
from sparrow.model.cache import Cache
from sparrow.model.gqa import GroupedQueryAttention
from sparrow.model.mla import LatentAttention
from sparrow.model.moe import DenseFeedForward, ExpertFeedForward
from sparrow.model.rope import Rotation

__all__ = ["Block", "Whole"]

Whole: TypeAlias = Callable[["Block", Tensor, Rotation, Tensor | None], Tensor | None]


class Block(nn.Module):
    """A transformer layer, a norm before each part. Shapes: [B, T, D] -> [B, T, D]."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        width, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn: LatentAttention | GroupedQueryAttention = (
            LatentAttention(config)
            if config.attention == "mla"
            else GroupedQueryAttention(config)
        )
        self.mlp: ExpertFeedForward | DenseFeedForward = (
            ExpertFeedForward(config)
            if config.is_moe_layer(layer)
            else DenseFeedForward(width, config.intermediate_size)
        )
        # Does all of it in one call, where it can: see `compile_layers`.
        self.whole: Whole | None = None
        self.input_layernorm = norm.RMSNorm(width, eps)
        self.post_attention_layernorm = norm.RMSNorm(width, eps)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        absorb: bool | None = None,
    ) -> Tensor:
        """Attend, then feed forward; arguments as in `LatentAttention`."""
        if self.whole is not None and cache is None and not absorb:
            made = self.whole(self, hidden, rotation, mask)
            if made is not None:
                return made
        hidden = hidden + self.self_attn(
            self.input_layernorm(hidden), rotation, mask, cache, self.layer, absorb
        )
        return hidden + self.mlp(self.post_attention_layernorm(hidden))
