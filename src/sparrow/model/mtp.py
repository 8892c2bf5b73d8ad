"""Learn to see one token further: predict the token after the next one as well.

Multi-token prediction (DeepSeek-V3, arXiv:2412.19437, section 2.2). In training it is
a second lesson from the same text; in serving its guess is checked for free.
"""

import torch
from torch import Tensor, nn

from sparrow.config import Config
from sparrow.model import norm
from sparrow.model.block import Block
from sparrow.model.cache import Cache
from sparrow.model.linear import Linear
from sparrow.model.moe import ExpertFeedForward
from sparrow.model.rope import Rotation

__all__ = ["MultiTokenPrediction"]


class SharedHead(nn.Module):
    """The norm before the output head; the head itself is the main model's."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm = norm.RMSNorm(config.hidden_size, config.rms_norm_eps)


class MultiTokenPrediction(nn.Module):
    """One more block, which reads a hidden state and the token that came after it.

    Shapes:
        hidden: [B, T, D], states of tokens 1..T, after the main model's last norm;
        embedded: [B, T, D], embeddings of tokens 2..T+1;
        returns [B, T, D], from which the head predicts tokens 3..T+2.

    Source: arXiv:2412.19437, equations 21 to 23.
    """

    def __init__(self, config: Config, depth: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.enorm = norm.RMSNorm(width, eps)
        self.hnorm = norm.RMSNorm(width, eps)
        self.eh_proj = Linear(2 * width, width)
        self.block = Block(config, config.num_hidden_layers + depth)
        self.shared_head = SharedHead(config)

    def forget_routing(self) -> None:
        """Say no more who worked on what in an earlier pass."""
        if isinstance(self.block.mlp, ExpertFeedForward):
            self.block.mlp.last_routing = None

    def forward(
        self,
        hidden: Tensor,
        embedded: Tensor,
        rotation: Rotation,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Join the two, run the block, normalise; its cache is one more layer."""
        joint = torch.cat((self.enorm(embedded), self.hnorm(hidden)), dim=-1)
        deeper = self.block(self.eh_proj(joint), rotation, mask, cache)
        return self.shared_head.norm(deeper)
