"""Let PyTorch fuse the small steps of each layer into few, where it can.

A training step is made of large matrix products and of many small steps between them,
each of which reads and writes memory. `torch.compile` fuses the small ones. It needs a
C++ compiler, and half a minute before the first step: worth it for training, not for
a few tokens. Nothing else changes, and nothing depends on it.
"""

import shutil
import sys

from torch import nn

from sparrow.model.block import Block
from sparrow.model.joined import is_original
from sparrow.model.moe import ExpertFeedForward
from sparrow.model.native_block import can_learn, through
from sparrow.model.transformer import Sparrow

__all__ = ["can_compile", "compile_layers"]

COMPILERS = ("cl",) if sys.platform == "win32" else ("g++", "clang++")


def can_compile() -> bool:
    """Whether this machine has a C++ compiler."""
    return any(shutil.which(name) for name in COMPILERS)


def compile_layers(model: Sparrow) -> bool:
    """Compile the parts whose shapes stay the same from step to step.

    How many tokens each routed expert receives changes with every batch, so routing
    stays as it is.

    Returns:
        Whether anything was compiled; without a C++ compiler nothing is.
    """
    if not can_compile():
        return False
    if can_learn(model.config) and is_original(model):
        for block in model.modules():
            if isinstance(block, Block):
                block.whole = through
        return True
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
    return True
