"""Join matrices as they are kept, one below the other, and lay them out for C++.

Joined codes give the same numbers as their parts, since each row has its own scales.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sparrow.model import Sparrow, packed
from sparrow.model.joined import is_original
from sparrow.model.joined_parts import Matrix
from sparrow.model.linear import Linear
from sparrow.quant import native as compiled
from sparrow.quant.linear import AffineLinear, DynamicLinear, QuantizedEmbedding

__all__ = ["Joined", "can_join", "join", "join_floats"]


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
    """One matrix, and what the rows are multiplied by before it.

    Args:
        laid: as compiled C++ knows it; None: it does not.
        plain: what makes a product if it does not.
        columns: what the rows are multiplied by first; None: nothing.

    Shapes: [N, K] -> [N, O].
    """

    def __init__(
        self,
        laid: compiled.Laid | None,
        plain: Callable[[], Matrix],
        columns: Tensor | None,
    ) -> None:
        self.laid, self.columns = laid, columns
        self.multiply = plain() if laid is None else partial(compiled.multiply, by=laid)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply rows."""
        return self.multiply(x if self.columns is None else x * self.columns)


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
    matrix = type(first)(codes, scale, zero)
    return Joined(matrix.native(), lambda: matrix.flat, columns)


def join_floats(
    parts: Sequence[nn.Module],
    *,
    columns: Tensor | None = None,
    order: Tensor | None = None,
) -> Joined:
    """The same for matrices of floating point numbers, which stay as they are."""
    weight = torch.cat([each.weight for each in parts if isinstance(each, Linear)])
    weight = weight if order is None else weight[order]
    return Joined(compiled.floats(weight), partial(packed.keep, weight), columns)
