"""Let a compiler make a step of training faster, where there is one.

A training step is made of matrix products and of many small steps between them, each of
which reads and writes memory. For a model whose shape it knows, `native_block` does a
whole block in one call of C++, which is compiled once in a few seconds. For others,
`torch.compile` fuses the small steps; it needs half a minute before the first step of
every run. Nothing else changes, and nothing depends on it.
"""

import shutil
import sys

from torch import nn

from sparrow.model import native_block, native_norm
from sparrow.model.block import Block
from sparrow.model.joined import is_original
from sparrow.model.moe import ExpertFeedForward
from sparrow.model.norm import RMSNorm
from sparrow.model.transformer import Sparrow

__all__ = ["can_compile", "compile_layers"]

COMPILERS = ("cl",) if sys.platform == "win32" else ("g++", "clang++")


def can_compile() -> bool:
    """Whether this machine has a C++ compiler."""
    return any(shutil.which(name) for name in COMPILERS)


def compile_layers(model: Sparrow) -> bool:
    """Let compiled code do what it can of each layer.

    A learner's own function or a hook is seen in any case, also one that is put in
    place later.

    Returns:
        Whether anything was compiled; without a C++ compiler nothing is.
    """
    if not can_compile():
        return False
    if native_block.can_learn(model.config) and is_original(model):
        _take_whole_blocks(model)
    else:
        _fuse(model)
    return True


def _take_whole_blocks(model: Sparrow) -> None:
    for part in model.modules():
        if isinstance(part, Block):
            part.whole = native_block.through
        elif isinstance(part, RMSNorm):
            part.whole = native_norm.through
    model.is_compiled = True


def _fuse(model: Sparrow) -> None:
    """Compile the parts whose shapes stay the same from step to step.

    How many tokens each routed expert receives changes with every batch, so routing
    stays as it is.
    """
    model.norm.compile()
    for layer in model.layers:
        assert isinstance(layer, Block), "a model is made of blocks"
        if not isinstance(layer.mlp, ExpertFeedForward):
            layer.compile()
            continue
        parts: tuple[nn.Module | None, ...] = (
            layer.input_layernorm,
            layer.self_attn,
            layer.post_attention_layernorm,
            layer.mlp.shared_experts,
        )
        for part in parts:
            if part is not None:
                part.compile()
