"""Who makes the vector that a matrix reads: where AWQ's scales can be divided out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.model import mla, moe
from sparrow.model.block import Block
from sparrow.model.mtp import MultiTokenPrediction
from sparrow.quant import awq
from sparrow.quant.apart import SeparateExperts
from sparrow.quant.calibrate import Unit

__all__ = ["Fold", "fold", "folds"]


@dataclass(frozen=True)
class Fold:
    """One vector: its name among the flows, who makes it, and who reads it."""

    flow: str
    makers: tuple[Tensor, ...]
    readers: tuple[Tensor, ...]
    exact: tuple[Tensor, ...] = ()  # readers that are not quantized: a router


def fold(unit: Unit, rounded: Callable[[Tensor], Tensor]) -> None:
    """Scale every matrix of a unit for rounding; what the unit computes stays.

    Args:
        unit: a layer whose flows are noted.
        rounded: a matrix, rounded to its grid and back.
    """
    for each in folds(unit):
        flow = unit.flows[each.flow]
        together = torch.cat(each.readers)
        scale = awq.search_scale(together, flow.gram, flow.size, rounded)
        awq.multiply_columns((*each.readers, *each.exact), scale)
        awq.divide_rows(each.makers, scale)


def folds(unit: Unit) -> Iterator[Fold]:
    """All vectors of a unit that can be scaled, each with its makers and readers."""
    module = unit.module
    if isinstance(module, MultiTokenPrediction):
        norms = module.enorm.weight.data, module.hnorm.weight.data
        yield Fold("eh_proj", norms, (module.eh_proj.weight.data,))
        yield from _block("block.", module.block)
    else:
        assert isinstance(module, Block), "a model is made of blocks"
        yield from _block("", module)


def _block(stem: str, block: Block) -> Iterator[Fold]:
    norm = block.input_layernorm.weight.data
    attention, feed_forward = block.self_attn, block.mlp
    if isinstance(attention, mla.LatentAttention):
        yield from _latent(f"{stem}self_attn", attention, norm)
    else:
        # A value is read by several heads of `o_proj`, so it has no scale of its own.
        readers = (attention.q_proj, attention.k_proj, attention.v_proj)
        weights = tuple(each.weight.data for each in readers)
        yield Fold(f"{stem}self_attn.q_proj", (norm,), weights)
    norm = block.post_attention_layernorm.weight.data
    if isinstance(feed_forward, SeparateExperts):
        yield from _experts(f"{stem}mlp", feed_forward, norm)
    else:
        assert isinstance(feed_forward, moe.DenseFeedForward), "no experts: dense"
        weights = feed_forward.gate_proj.weight.data, feed_forward.up_proj.weight.data
        yield Fold(f"{stem}mlp.gate_proj", (norm,), weights)
        yield _down(f"{stem}mlp", feed_forward)


def _latent(stem: str, attention: mla.LatentAttention, norm: Tensor) -> Iterator[Fold]:
    config = attention.config
    down = attention.kv_a_proj_with_mqa.weight.data
    if config.q_lora_rank is None:
        first = attention.q_proj.weight.data
    else:
        first = attention.q_a_proj.weight.data
        low = attention.q_a_layernorm.weight.data
        last = attention.q_b_proj.weight.data
        yield Fold(f"{stem}.q_b_proj", (low,), (last,))
    yield Fold(f"{stem}.kv_a_proj_with_mqa", (norm,), (first, down))
    up = attention.kv_b_proj.weight.data
    latent = attention.kv_a_layernorm.weight.data
    yield Fold(f"{stem}.kv_b_proj", (latent,), (up,))
    heads = up.unflatten(0, (config.num_attention_heads, -1))
    value = heads[:, config.qk_nope_head_dim :]  # [H, V, C]
    yield Fold(f"{stem}.o_proj", (value,), (attention.o_proj.weight.data,))


def _experts(stem: str, part: SeparateExperts, norm: Tensor) -> Iterator[Fold]:
    """All experts and the router read the same vector."""
    readers = [each.gate_up_proj.weight.data for each in part.each()]
    if part.shared_experts is not None:
        readers.append(part.shared_experts.gate_proj.weight.data)
        readers.append(part.shared_experts.up_proj.weight.data)
        yield _down(f"{stem}.shared_experts", part.shared_experts)
    yield Fold(stem, (norm,), tuple(readers), (part.gate.weight.data,))
    for number, each in enumerate(part.each()):
        up = each.gate_up_proj.weight.data.chunk(2)[1]
        down = each.down_proj.weight.data
        yield Fold(f"{stem}.experts.{number}.down_proj", (up,), (down,))


def _down(stem: str, part: moe.DenseFeedForward) -> Fold:
    makers = (part.up_proj.weight.data,)
    return Fold(f"{stem}.down_proj", makers, (part.down_proj.weight.data,))
