"""Join quantized matrices as they are: their codes one below the other.

A joined matrix gives the same numbers as its parts, since each row has its own scales.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparrow.model import Sparrow
from sparrow.model.joined import is_original
from sparrow.model.joined_parts import Matrix
from sparrow.quant.linear import AffineLinear, DynamicLinear, QuantizedEmbedding

__all__ = ["can_join", "join"]


def can_join(model: Sparrow) -> bool:
    """Whether all its matrices are of a kind that can be joined, and none is absorbed.

    Latent attention is absorbed by multiplying matrices, which leaves their grids.
    """
    kinds = {type(each) for each in model.modules() if hasattr(each, "codes")}
    return (
        model.config.attention == "gqa"
        and len(kinds) > 0
        and is_original(model, (AffineLinear, DynamicLinear, QuantizedEmbedding))
    )


def join(
    parts: Sequence[nn.Module],
    *,
    columns: Tensor | None = None,
    order: Tensor | None = None,
) -> Matrix:
    """Multiply by several quantized matrices at once. See `joined_parts.Join`."""
    layers = [each for each in parts if isinstance(each, AffineLinear)]
    first = layers[0]
    codes = torch.cat([each.codes for each in layers])
    scale = torch.cat([each.scale for each in layers])
    zeros = [each.zero for each in layers if each.zero is not None]
    zero = torch.cat(zeros) if zeros else None
    if order is not None:
        codes, scale = codes[order], scale[order]
        zero = None if zero is None else zero[order]
    multiply = type(first)(codes, scale, zero).flat
    if columns is None:
        return multiply
    return lambda x: multiply(x * columns)
