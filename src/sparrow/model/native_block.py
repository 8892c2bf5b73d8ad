"""Take texts through a whole block in one call of compiled C++, forward and backward.

A training step of a small model is hundreds of products too small for a library, and
between them many small steps, each of which writes to memory what the next one reads.
`cpp_block/` holds the same block as some hundred lines of C++. The plain twin is
`Block.forward`, and PyTorch's own gradients of it.
"""

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, byref, c_double, c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparrow import native as compiler
from sparrow.config import Config
from sparrow.model import mla, moe
from sparrow.model.block import Block
from sparrow.model.joined import is_untouched
from sparrow.model.rope import Rotation

__all__ = ["can_learn", "is_float32", "library", "through"]

SOURCES = Path(__file__).with_name("cpp_block")
KEEP_NAN = "-fno-finite-math-only"  # a run that went wrong must be seen
LANES = 16  # sizes must be multiples of it, on any processor
MATRICES = 13
SIZES = (
    *("texts", "tokens", "width", "heads", "nope", "turned", "value", "rank"),
    *("experts", "chosen", "inner", "for_all"),
    *("has_unit_weights", "has_own_turn", "has_window", "has_own_window"),
)


class Sizes(ctypes.Structure):
    """See `cpp_block/block.h`."""

    _fields_ = (
        *((name, c_int64) for name in SIZES),
        *((name, c_float) for name in ("eps", "latent_eps", "scale", "times", "tiny")),
    )


class Call(ctypes.Structure):
    """See `cpp_block/block.h`; what the C++ fills in itself comes last."""

    _fields_ = (
        ("sizes", Sizes),
        *((name, c_void_p) for name in ("hidden", "cos", "sin", "bias", "firsts")),
        *((name, c_void_p) for name in ("out", "scores", "experts")),
        ("weights", c_void_p * MATRICES),
        ("turned", c_void_p * MATRICES),
        ("kept", c_void_p * 11),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled block; None where it cannot be had. It takes some seconds once."""
    made = compiler.library(SOURCES, KEEP_NAN)
    if made is not None:
        sizes, call, tensor = POINTER(Sizes), POINTER(Call), c_void_p
        made.sparrow_block_kept.restype = c_int64
        made.sparrow_block_kept.argtypes = [sizes]
        made.sparrow_block_windows.argtypes = [tensor, c_int64, c_int64, tensor]
        made.sparrow_block_forward.restype = None
        made.sparrow_block_forward.argtypes = [call, tensor, c_int]
        made.sparrow_block_backward.restype = None
        made.sparrow_block_backward.argtypes = [call, *[tensor] * 6, c_int]
        shape: list[Any] = [c_int64, c_int64]
        sums: list[Any] = [tensor, tensor, c_int]
        made.sparrow_norm_forward.restype = None
        made.sparrow_norm_forward.argtypes = [tensor, tensor, *shape, c_float, *sums]
        made.sparrow_norm_backward.restype = None
        made.sparrow_norm_backward.argtypes = [*[tensor] * 4, *shape, *sums]
        made.sparrow_surprise.restype = c_double
        more: list[Any] = [*shape, *[tensor] * 4, c_int]
        made.sparrow_surprise.argtypes = [*[tensor] * 3, c_int64, *more]
    return made


def can_learn(config: Config) -> bool:
    """Whether the C++ is made for blocks of this shape, and is there."""
    sizes = (
        config.hidden_size,
        config.kv_lora_rank,
        config.qk_nope_head_dim,
        config.qk_rope_head_dim,
        config.v_head_dim,
        config.moe_intermediate_size,
        config.intermediate_size,
    )
    return (
        config.attention == "mla"
        and config.q_lora_rank is None
        and config.n_group == 1
        and not any(size % LANES for size in sizes)
        and library() is not None
    )


def through(
    block: Block, hidden: Tensor, rotation: Rotation, mask: Tensor | None
) -> Tensor | None:
    """What the block makes of texts without a past; None: ask its plain twin.

    Scores that are equal but for their last bits may choose other experts than in the
    twin. The gradient reaches `last_routing.scores`; what flows through the experts'
    weights is counted inside.

    Args:
        block: one of a model for which `can_learn` holds.
        hidden: the texts.
        rotation: the angles of their places.
        mask: True where a place may look; None: at itself and all before it.

    Returns:
        None as well if a learner's own function or a hook must see what passes, if
        numbers are not float32, or if a place may look at others than those from some
        first one to itself.

    Shapes:
        hidden: [B, T, D]; mask: [B or 1, 1, T, T]; returns [B, T, D].
    """
    weights = list(_weights(block))
    if not (is_float32(hidden, *weights) and is_untouched(block)):
        return None
    firsts = None
    if mask is not None and (firsts := _windows(mask)) is None:
        return None
    bias = None
    if isinstance(block.mlp, moe.ExpertFeedForward):
        bias = block.mlp.gate.e_score_correction_bias
    sizes = _sizes(block, hidden, rotation, firsts)
    given = (torch.is_grad_enabled(), sizes, hidden, *rotation, firsts, bias, *weights)
    made = _Through.apply(*given)  # type: ignore[no-untyped-call]
    if not isinstance(block.mlp, moe.ExpertFeedForward):
        out: Tensor = made
        return out
    out, *routing = made
    block.mlp.last_routing = moe.Routing(*routing)
    return out


def is_float32(*tensors: Tensor) -> bool:
    """Whether all are numbers that the C++ can read, and are not to become others."""
    return not torch.is_autocast_enabled("cpu") and all(
        each.dtype == torch.float32 and each.device.type == "cpu" for each in tensors
    )


def _weights(block: Block) -> Iterator[Tensor]:
    """All matrices of a block, in the order of the C++."""
    attention, feed_forward = block.self_attn, block.mlp
    assert isinstance(attention, mla.LatentAttention)
    yield block.input_layernorm.weight
    yield attention.q_proj.weight
    yield attention.kv_a_proj_with_mqa.weight
    yield attention.kv_a_layernorm.weight
    yield attention.kv_b_proj.weight
    yield attention.o_proj.weight
    yield block.post_attention_layernorm.weight
    for_all: moe.DenseFeedForward | None
    if isinstance(feed_forward, moe.ExpertFeedForward):
        yield feed_forward.gate.weight
        yield feed_forward.experts.gate_up_proj
        yield feed_forward.experts.down_proj
        for_all = feed_forward.shared_experts
    else:
        for_all = feed_forward
    if for_all is not None:
        yield for_all.gate_proj.weight
        yield for_all.up_proj.weight
        yield for_all.down_proj.weight


def _windows(mask: Tensor) -> Tensor | None:
    """The first place that each place may look at; None: the mask is no such window.

    Shapes:
        mask: [B or 1, 1, T, T]; returns [B or 1, T].
    """
    rows, heads, tokens, keys = mask.shape
    if mask.dtype != torch.bool or heads != 1 or tokens != keys:
        return None
    made, mask = library(), mask.contiguous()
    assert made is not None, "ask `can_learn` first"
    firsts = torch.empty(rows, tokens, dtype=torch.long)
    told = made.sparrow_block_windows(mask.data_ptr(), rows, tokens, firsts.data_ptr())
    return firsts if told else None


def _sizes(
    block: Block, hidden: Tensor, rotation: Rotation, firsts: Tensor | None
) -> Sizes:
    attention, feed_forward = block.self_attn, block.mlp
    assert isinstance(attention, mla.LatentAttention)
    config, (texts, tokens, width) = attention.config, hidden.shape
    has_experts = isinstance(feed_forward, moe.ExpertFeedForward)
    for_all = config.intermediate_size
    if has_experts:
        for_all = config.n_shared_experts * config.moe_intermediate_size
    return Sizes(
        texts=texts,
        tokens=tokens,
        width=width,
        heads=config.num_attention_heads,
        nope=config.qk_nope_head_dim,
        turned=config.qk_rope_head_dim,
        value=config.v_head_dim,
        rank=config.kv_lora_rank,
        experts=config.n_routed_experts if has_experts else 0,
        chosen=config.num_experts_per_tok if has_experts else 0,
        inner=config.moe_intermediate_size if has_experts else 0,
        for_all=for_all,
        has_unit_weights=config.norm_topk_prob,
        has_own_turn=len(rotation.cos) > 1,
        has_window=firsts is not None,
        has_own_window=firsts is not None and len(firsts) > 1,
        eps=block.input_layernorm.eps,
        latent_eps=mla.LATENT_EPS,
        scale=attention.scale,
        times=config.routed_scaling_factor,
        tiny=moe.TINY,
    )


def _parts(sizes: Sizes) -> int:
    """How many threads share the texts; a text stays whole."""
    return min(torch.get_num_threads(), int(sizes.texts))


class _Lender:
    """Lends memory, and keeps what comes back for the next block that asks.

    The system clears every page that it gives, which costs as much as a product.
    """

    MOST = 8  # pieces; more are left to the system

    def __init__(self) -> None:
        self.spare: list[Tensor] = []

    def take(self, size: int) -> Tensor:
        """A tensor of so many numbers, which may be anything."""
        for place, each in enumerate(self.spare):
            if len(each) == size:
                return self.spare.pop(place)
        return torch.empty(size)

    def give(self, lent: Tensor) -> None:
        """Nobody reads it any more."""
        self.spare = [lent, *self.spare][: self.MOST]


_lender = _Lender()


def _call(sizes: Sizes, weights: list[Tensor], **tensors: Tensor | None) -> Call:
    """Where everything lies; tensors must be contiguous and stay alive."""
    call = Call(sizes=sizes)
    for name, tensor in tensors.items():
        setattr(call, name, None if tensor is None else tensor.data_ptr())
    places = iter(each.data_ptr() for each in weights)
    for place in range(MATRICES):
        is_routed = 7 <= place < 10
        is_for_all = place >= 10
        if (is_routed and not sizes.experts) or (is_for_all and not sizes.for_all):
            continue
        call.weights[place] = next(places)
    return call


class _Through(torch.autograd.Function):
    """A block of given sizes; see `through`."""

    @staticmethod
    def forward(
        ctx: Any,
        is_learning: bool,
        sizes: Sizes,
        hidden: Tensor,
        cos: Tensor,
        sin: Tensor,
        firsts: Tensor | None,
        bias: Tensor | None,
        *weights: Tensor,
    ) -> Any:
        hidden, cos, sin, *matrices = (
            each.contiguous() for each in (hidden, cos, sin, *weights)
        )
        tokens = int(sizes.texts * sizes.tokens)
        out = torch.empty_like(hidden)
        scores = hidden.new_empty(tokens, sizes.experts)
        experts = torch.empty(tokens, sizes.chosen, dtype=torch.long)
        places = {"hidden": hidden, "cos": cos, "sin": sin, "firsts": firsts}
        places |= {"bias": bias, "out": out, "scores": scores, "experts": experts}
        ctx.sizes, ctx.kept = sizes, _read(sizes, matrices, **places)
        first = len(ctx.kept) - experts.numel()
        chosen = ctx.kept[first:].view_as(experts).clone()
        if not is_learning:
            _lender.give(ctx.kept)
        ctx.save_for_backward(
            hidden, cos, sin, firsts, bias, scores, experts, *matrices
        )
        ctx.set_materialize_grads(False)
        if not sizes.experts:
            return out
        ctx.mark_non_differentiable(experts, chosen)
        return out, experts, chosen, scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor | None, *more: Tensor | None) -> Any:
        made, sizes = library(), ctx.sizes
        assert made is not None
        hidden, cos, sin, firsts, bias, scores, experts, *matrices = ctx.saved_tensors
        places = {"hidden": hidden, "cos": cos, "sin": sin, "firsts": firsts}
        places |= {"scores": scores, "experts": experts}
        kept, ctx.kept = ctx.kept, None
        if kept is None:  # it was given back: a second way back makes it again
            again = {"bias": bias, "out": torch.empty_like(hidden)}
            kept = _read(sizes, matrices, **places, **again)
        call, parts = _call(sizes, matrices, **places), _parts(sizes)
        felt = torch.zeros_like(hidden) if felt is None else felt.contiguous()
        felt_scores = more[-1].contiguous() if more and more[-1] is not None else None
        to_hidden = torch.empty_like(hidden)
        lengths = [each.numel() for each in matrices]
        to_weights = hidden.new_empty(sum(lengths))
        rest = hidden.new_empty(parts - 1, sum(lengths))
        made.sparrow_block_backward(
            byref(call),
            kept.data_ptr(),
            felt.data_ptr(),
            None if felt_scores is None else felt_scores.data_ptr(),
            to_hidden.data_ptr(),
            to_weights.data_ptr(),
            rest.data_ptr(),
            parts,
        )
        _lender.give(kept)
        grads = [
            part.view_as(matrix)
            for part, matrix in zip(to_weights.split(lengths), matrices, strict=True)
        ]
        return None, None, to_hidden, None, None, None, None, *grads


def _read(sizes: Sizes, weights: list[Tensor], **places: Tensor | None) -> Tensor:
    """Go forward; what the way back needs."""
    made = library()
    assert made is not None, "ask `can_learn` first"
    kept = _lender.take(made.sparrow_block_kept(byref(sizes)))
    call = _call(sizes, weights, **places)
    made.sparrow_block_forward(byref(call), kept.data_ptr(), _parts(sizes))
    return kept
