"""The whole model: tokens in, a score for every possible next token out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from sparrow.config import Config
from sparrow.errors import PromptError
from sparrow.language import _
from sparrow.model import norm, rope, weights
from sparrow.model.block import Block
from sparrow.model.cache import Cache
from sparrow.model.linear import Linear
from sparrow.model.moe import ExpertFeedForward, Gate, Routing
from sparrow.model.mtp import MultiTokenPrediction

__all__ = ["Sparrow"]


class Sparrow(nn.Module):
    """A compact DeepSeek-V3 or Llama: one model, two attentions, two feed-forwards.

    Shapes:
        input_ids: [B, T], integers; logits: [B, T, V].

    Example:
        >>> model = Sparrow(Config.preset("pico"))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 512])
    """

    inverse_freq: Tensor

    def __init__(self, config: Config) -> None:
        """Make a model with random weights, drawn from PyTorch's global generator."""
        super().__init__()
        self.config = config
        self.is_compiled = False  # `compile_layers` may change it
        self.embed_tokens = nn.Embedding.from_pretrained(
            torch.empty(config.vocab_size, config.hidden_size), freeze=False
        )
        self.layers = nn.ModuleList(
            Block(config, layer) for layer in range(config.num_hidden_layers)
        )
        self.norm = norm.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)
        self.mtp = nn.ModuleList(
            MultiTokenPrediction(config, depth)
            for depth in range(config.num_nextn_predict_layers)
        )
        self.register_buffer("inverse_freq", rope.frequencies(config), persistent=False)
        self._initialise()
        if config.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw every matrix from a normal distribution; norms stay at one."""
        if self.embed_tokens.weight.is_meta:
            return  # a checkpoint is about to give the weights
        for parameter in self.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=self.config.initializer_range)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Open a Hugging Face checkpoint: a folder, or a GGUF file.

        Raises:
            CheckpointError: it is missing, truncated, foreign or of another shape.
        """
        return weights.load(cls, Path(path))

    def save_pretrained(self, path: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, which transformers can open.

        Raises:
            CheckpointError: transformers has no layout for this pair of parts.
            StorageError: the folder cannot be written; nothing was changed.
        """
        weights.save_checkpoint(self, Path(path))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision it computes in, which quantized matrices have not."""
        return self.norm.weight.dtype

    def new_cache(self, batch: int, capacity: int) -> Cache:
        """An empty cache for `batch` sequences of at most `capacity` tokens."""
        return Cache(self.config, batch, capacity, dtype=self.dtype, device=self.device)

    def forward(
        self,
        input_ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        absorb: bool | None = None,
    ) -> Tensor:
        """Score every possible next token after each token.

        Args:
            input_ids: the tokens.
            positions: where each token stands; None: 0, 1, 2, … after the cache.
            mask: True where a query may look; None: all earlier tokens and itself.
            cache: the past, which grows by these tokens.
            absorb: force MLA's absorbed (True) or expanded (False) form.

        Shapes:
            input_ids: [B, T]; positions: [B or 1, T]; mask: [B or 1, 1, T, K];
            returns [B, T, V].
        """
        return self.logits(
            self.hidden(
                input_ids, positions=positions, mask=mask, cache=cache, absorb=absorb
            )
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """Score every token of the vocabulary. Shapes: [..., D] -> [..., V]."""
        return self.lm_head(hidden)

    def hidden(
        self,
        input_ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        absorb: bool | None = None,
    ) -> Tensor:
        """What the head reads: the states after the last norm. Shapes: [B, T, D].

        Arguments as in `forward`.
        """
        tokens = input_ids.shape[1]
        past = cache.length if cache is not None else 0
        if past + tokens > self.config.max_position_embeddings:
            raise PromptError(
                _(
                    "{got} tokens do not fit: this model reads at most {limit}; "
                    "shorten the prompt or ask for fewer new tokens.",
                    got=past + tokens,
                    limit=self.config.max_position_embeddings,
                )
            )
        if positions is None:
            positions = torch.arange(past, past + tokens, device=self.device)[None]
        if mask is None and past and tokens > 1:
            mask = causal_mask(tokens, past, self.device)
        rotation = rope.rotation(positions, self.inverse_freq, self.config)
        for module in self.mtp:
            assert isinstance(module, MultiTokenPrediction)
            module.forget_routing()  # what they did is no part of this pass
        hidden = self.embed_tokens(input_ids)
        for layer in self.layers:
            hidden = layer(hidden, rotation, mask, cache, absorb)
        if cache is not None:
            cache.advance(tokens)
        return self.norm(hidden)

    def predict_further(
        self, hidden: Tensor, input_ids: Tensor, mask: Tensor | None = None
    ) -> list[Tensor]:
        """What each MTP module predicts, one token further than the one before.

        Shapes:
            hidden: [B, T, D], from `hidden`; input_ids: [B, T]; mask: as in `forward`,
            with K = T; returns one [B, T - depth, V] a module, depth from 1: position
            t of the first predicts token t + 2.

        Source: arXiv:2412.19437, equations 21 to 23.
        """
        further = self.hidden_further(hidden, input_ids, mask)
        return [self.logits(each) for each in further]

    def hidden_further(
        self, hidden: Tensor, input_ids: Tensor, mask: Tensor | None = None
    ) -> list[Tensor]:
        """What the head reads of each MTP module; as `predict_further` otherwise.

        Shapes:
            returns one [B, T - depth, D] a module.
        """
        found = []
        for depth, module in enumerate(self.mtp, start=1):
            shifted = input_ids[:, depth:]
            tokens = shifted.shape[1]
            positions = torch.arange(depth, depth + tokens, device=self.device)[None]
            rotation = rope.rotation(positions, self.inverse_freq, self.config)
            window = None if mask is None else _mtp_window(mask, depth)
            hidden = module(
                hidden[:, :tokens], self.embed_tokens(shifted), rotation, window
            )
            found.append(hidden)
        return found

    def gates(self) -> Iterator[Gate]:
        """The gate of every layer that has experts, MTP modules included."""
        for module in self.modules():
            if isinstance(module, ExpertFeedForward):
                yield module.gate

    def routings(self) -> Iterator[Routing]:
        """Who worked on what in the last forward pass, layer by layer."""
        for module in self.modules():
            if isinstance(module, ExpertFeedForward) and module.last_routing:
                yield module.last_routing

    def count_parameters(self) -> int:
        """Trainable numbers; shared ones are counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _mtp_window(mask: Tensor, depth: int) -> Tensor:
    """Where an MTP module may look: its place t holds states of t *and* of t + depth.

    So both must be visible: otherwise the last state of one document, joined with the
    first token of the next, would tell the second about the first.
    """
    return mask[:, :, :-depth, :-depth] & mask[:, :, depth:, depth:]


def causal_mask(tokens: int, past: int, device: torch.device) -> Tensor:
    """True where a new token may look: all the past, and the new ones up to itself.

    Shapes:
        returns [1, 1, T, past + T].
    """
    return torch.ones(
        1, 1, tokens, past + tokens, dtype=torch.bool, device=device
    ).tril(past)
