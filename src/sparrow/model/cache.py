"""Remember each token once: one row of numbers a token, a layer and a sequence.

MLA's row is the compressed latent followed by the one rotated key that all heads
share. GQA's row is the keys followed by the values of its key-value heads. Nothing
else about a past token is ever needed.
"""

import torch
from torch import Tensor

from sparrow.config import Config
from sparrow.errors import PromptError
from sparrow.language import _

__all__ = ["Cache", "bytes_per_token", "features_per_layer"]


def features_per_layer(config: Config) -> int:
    """Numbers that one token leaves in one layer's cache.

    Source: arXiv:2412.19437, section 2.1.1; for GQA arXiv:2305.13245.
    """
    # 1. MLA: one latent, and one rotated key for all heads together.
    if config.attention == "mla":
        return config.kv_lora_rank + config.qk_rope_head_dim
    # 2. GQA: a key and a value for each key-value head.
    return 2 * config.num_key_value_heads * config.head_dim


def bytes_per_token(config: Config, bytes_per_number: int = 2) -> int:
    """Bytes of cache that one token costs, over all layers.

    Args:
        config: the model.
        bytes_per_number: 2 for bf16 or fp16, 4 for fp32.

    Returns:
        Bytes. DeepSeek-V3 in bf16: (512 + 64) × 61 × 2 = 70,272.
    """
    return features_per_layer(config) * config.num_hidden_layers * bytes_per_number


class Cache:
    """The past of B sequences, which grow together one column a token.

    Rows of one batch may have different lengths: shorter prompts are padded on the
    left, and the attention mask hides the padding.

    Shapes:
        each layer's buffer: [B, capacity, F], F = features_per_layer(config).
    """

    def __init__(
        self,
        config: Config,
        batch: int,
        capacity: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """Reserve room for `capacity` tokens in each of `batch` sequences."""
        shape = (batch, capacity, features_per_layer(config))
        self.buffers = [
            torch.empty(shape, dtype=dtype, device=device)
            for _layer in range(config.num_hidden_layers)
        ]
        self.length = 0  # columns in use

    @property
    def capacity(self) -> int:
        """Columns that there is room for."""
        return self.buffers[0].shape[1]

    @property
    def batch(self) -> int:
        """Sequences."""
        return self.buffers[0].shape[0]

    @property
    def bytes_used(self) -> int:
        """Bytes that the tokens seen so far occupy, over all layers and sequences."""
        return sum(
            buffer[:, : self.length].numel() * buffer.element_size()
            for buffer in self.buffers
        )

    def append(self, layer: int, rows: Tensor) -> Tensor:
        """Write new tokens' rows behind the old ones; return old and new together.

        The length moves only when `advance` is called, after the last layer.

        Shapes:
            rows: [B, T, F]; returns [B, length + T, F], a view.

        Raises:
            PromptError: there is no room for so many tokens.
        """
        end = self.length + rows.shape[1]
        if end > self.capacity:
            raise PromptError(
                _(
                    "the cache has room for {capacity} tokens and {needed} are "
                    "needed; give it more room, shorten the prompt or lower "
                    "max_new_tokens.",
                    capacity=self.capacity,
                    needed=end,
                )
            )
        buffer = self.buffers[layer]
        buffer[:, self.length : end] = rows
        return buffer[:, :end]

    def advance(self, tokens: int) -> None:
        """Count `tokens` columns as seen, once every layer has written them."""
        self.length += tokens

    def keep(self, sequences: Tensor) -> None:
        """Go on with these sequences only, in this order; a sequence may repeat.

        Shapes:
            sequences: [B'], integers below B.
        """
        capacity = self.capacity
        for layer, buffer in enumerate(self.buffers):
            kept = buffer.new_empty(len(sequences), capacity, buffer.shape[2])
            kept[:, : self.length] = buffer[sequences, : self.length]
            self.buffers[layer] = kept
