"""Join quantized matrices as they are: their codes one below the other.

A joined matrix gives the same numbers as its parts, since each row has its own scales.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparrow.model import Sparrow
from sparrow.model.joined import is_original
from sparrow.quant import native as compiled
from sparrow.quant.linear import AffineLinear, DynamicLinear, QuantizedEmbedding

__all__ = ["Joined", "can_join", "join"]


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


class Joined:
    """One matrix of codes, and what the rows are multiplied by before it.

    Shapes: [N, K] -> [N, O].
    """

    def __init__(self, matrix: AffineLinear, columns: Tensor | None) -> None:
        self.matrix, self.columns = matrix, columns

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply rows."""
        return self.matrix.flat(x if self.columns is None else x * self.columns)

    def native(self) -> compiled.Matrix | None:
        """The matrix for compiled C++, if it knows it."""
        return self.matrix.native()


def join(
    parts: Sequence[nn.Module],
    *,
    columns: Tensor | None = None,
    order: Tensor | None = None,
) -> Joined:
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
    return Joined(type(first)(codes, scale, zero), columns)
