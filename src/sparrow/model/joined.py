"""Write one more token with few large products in place of many small ones.

For a batch of sequences that all write one token, `Sparrow.hidden` spends its time on
small matrices and small steps. Here the weights are joined once for many tokens: those
that read the same vector become one matrix, and so do those that follow each other
with nothing between them. The numbers are the same up to rounding; the obvious twin
is `Sparrow.hidden` followed by `Sparrow.logits`.

Weights are read again each time a `JoinedStep` is made, so it never goes stale
between two steps of training. For pico this takes about a millisecond.
"""

from collections.abc import Collection
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow import runtime
from sparrow.model import attend, gqa, mla, moe, norm, rope, transformer
from sparrow.model.block import Block
from sparrow.model.cache import Cache
from sparrow.model.joined_parts import (
    DensePart,
    ExpertsPart,
    HeadsPart,
    Join,
    Keep,
    LatentPart,
    Matrix,
    Mix,
    whole,
)
from sparrow.model.linear import Linear
from sparrow.model.mtp import MultiTokenPrediction, SharedHead

__all__ = [
    "JoinedStep",
    "can_join",
    "is_original",
    "is_own",
    "is_untouched",
    "mix_latents",
    "plain",
]

PARTS = (
    Block,
    Linear,
    MultiTokenPrediction,
    SharedHead,
    gqa.GroupedQueryAttention,
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

HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks"),
    *("_backward_hooks", "_backward_pre_hooks"),
)


def can_join(model: transformer.Sparrow) -> bool:
    """Whether a `JoinedStep` would do exactly what the model does, and faster."""
    return model.config.attention == "mla" and is_original(model)


def is_original(
    model: transformer.Sparrow, besides: Collection[type[nn.Module]] = ()
) -> bool:
    """Whether the model's weights may be joined: nothing but the result is seen.

    Not if a part was replaced or is being watched: a learner's function or a hook on a
    module must see every token.

    Args:
        model: whose parts are looked at.
        besides: kinds of parts that may be there as well.
    """
    return (
        model.device.type == "cpu"
        and model.dtype == torch.float32
        and is_untouched(model, besides)
    )


def is_untouched(whole: nn.Module, besides: Collection[type[nn.Module]] = ()) -> bool:
    """Whether a model, or a part of one, has the library's own parts, and no watchers.

    Args:
        whole: what is looked at, with all that it is made of.
        besides: kinds of parts that may be there as well.
    """
    parts = list(whole.modules())
    return (
        all(type(part) in (*PARTS, *besides) for part in parts)
        and not any(getattr(part, hooks) for part in parts for hooks in HOOKS)
        and all(is_own(module) for module in (attend, gqa, mla, moe, norm, rope))
    )


def is_own(module: ModuleType) -> bool:
    """Whether the module's public functions, and its layers' methods, are its own."""
    found = [getattr(module, name) for name in module.__all__]
    for layer in [each for each in found if isinstance(each, type)]:
        if issubclass(layer, nn.Module):
            found += [each for each in vars(layer).values() if callable(each)]
    return all(each.__module__ == module.__name__ for each in found)


def plain(weight: Tensor) -> Matrix:
    """The matrix as it is."""
    return lambda x: F.linear(x, weight)


def _halves(
    block: nn.Module, keep: Keep, join: Join
) -> tuple[LatentPart | HeadsPart, ExpertsPart | DensePart]:
    """The two halves of a layer."""
    assert isinstance(block, Block), "a model is made of blocks"
    is_mla = isinstance(block.self_attn, mla.LatentAttention)
    is_moe = isinstance(block.mlp, moe.ExpertFeedForward)
    return (
        LatentPart(block, keep) if is_mla else HeadsPart(block, join),
        ExpertsPart(block, join) if is_moe else DensePart(block, join),
    )


class JoinedStep:
    """One step of decoding for many sequences, on weights joined beforehand.

    Args:
        model: whose weights.
        keep: how to keep a joined matrix.
        join: how to join those of several modules; None: as floating point numbers.
        has_mtp: join the first MTP module as well.

    Shapes: token [B] -> logits [B, V].
    """

    def __init__(
        self,
        model: transformer.Sparrow,
        keep: Keep = plain,
        *,
        join: Join | None = None,
        has_mtp: bool = False,
    ) -> None:
        self.model, join = model, join or whole(keep)
        self.layers = [_halves(block, keep, join) for block in model.layers]
        if has_mtp:
            module = model.mtp[0]
            assert isinstance(module, MultiTokenPrediction)
            self.module, self.deeper = module, _halves(module.block, keep, join)

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
        empty = None  # where a sequence has no token: [B, 1, K]
        if pad is not None:
            empty = torch.arange(column + 1) < pad[:, None, None]

        def mix(layer: int, query: Tensor, row: Tensor) -> Tensor:
            rows = cache.append(layer, row[:, None])  # [B, K, C + R]
            return mix_latents(query, rows, empty, model.config.kv_lora_rank)

        with runtime.fast_matmul():
            logits = model.logits(self.hidden(token, positions, mix))
        cache.advance(1)
        return logits

    def hidden(self, token: Tensor, positions: Tensor, mix: Mix) -> Tensor:
        """The states after the last norm, of tokens that stand anywhere.

        Args:
            token: one new token in each place.
            positions: where in its own text each stands.
            mix: keeps the new rows, and attends to them and to all the past.

        Shapes:
            token: [N]; positions: [N] or [1]; returns [N, D].
        """
        model, turn = self.model, self._turn(positions)
        hidden = model.embed_tokens(token)
        for layer, (attention, feed_forward) in enumerate(self.layers):
            attention(hidden, turn, mix, layer)
            feed_forward(hidden)
        return model.norm(hidden)

    def further(
        self, hidden: Tensor, token: Tensor, positions: Tensor, mix: Mix
    ) -> Tensor:
        """What the first MTP module makes of states and of the tokens after them.

        Its rows belong to one more layer, behind the last.

        Shapes:
            hidden: [N, D], from `hidden`; token, positions: [N]; returns [N, D].
        """
        module, (attention, feed_forward) = self.module, self.deeper
        embedded = module.enorm(self.model.embed_tokens(token))
        joint = torch.cat((embedded, module.hnorm(hidden)), dim=-1)
        deeper = module.eh_proj(joint)
        attention(deeper, self._turn(positions), mix, len(self.layers))
        feed_forward(deeper)
        return module.shared_head.norm(deeper)

    def _turn(self, positions: Tensor) -> Tensor:
        """The angles as points in the plane. Shapes: [N] -> [N, 1, R/2]."""
        model = self.model
        cos, sin = rope.rotation(positions, model.inverse_freq, model.config)
        return torch.complex(cos, sin)[:, None]


def mix_latents(query: Tensor, rows: Tensor, empty: Tensor | None, rank: int) -> Tensor:
    """Mix latents by how well they fit each query, which brings its scale along.

    Shapes:
        query: [B, H, C + R]; rows: [B, K, C + R]; empty: [B, 1 or H, K]; rank: C;
        returns [B, H, C].
    """
    # Small products: MKL makes them where they lie, oneDNN copies them first.
    with runtime.fast_matmul("mkl"):
        scores = torch.bmm(query, rows.mT)
        if empty is not None:
            scores.masked_fill_(empty, float("-inf"))
        return torch.bmm(scores.softmax(dim=-1), rows[..., :rank])
