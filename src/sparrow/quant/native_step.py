"""Read a step's tokens in one call of compiled C++: the twin of `JoinedStep.hidden`.

It is for models with grouped-query attention, whatever their matrices are kept in. With
one row, a step in PyTorch is some thousand small calls, each of which costs more than
what it computes. Here it is one.
"""

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref, c_float, c_int64, c_void_p

import torch
from torch import Tensor

from sparrow.config import Config
from sparrow.model import rope
from sparrow.model.joined import JoinedStep
from sparrow.model.joined_parts import DensePart, HeadsPart
from sparrow.quant import native
from sparrow.quant.joined import Joined
from sparrow.quant.native import Matrix

__all__ = ["HeadsStep", "heads_step", "look_back"]

LANES = 16  # the size of a head must be a multiple of it, on any processor


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, Matrix) for name in ("joint", "out", "gate_up", "down")),
        ("before_attention", c_void_p),
        ("before_feed_forward", c_void_p),
        ("rows", c_void_p),
    )


class _Sizes(ctypes.Structure):
    _fields_ = (
        *(
            (name, c_int64)
            for name in (
                "layers",
                "width",
                "middle",
                "heads",
                "groups",
                "head_dim",
                "block",
            )
        ),
        ("eps", c_float),
        ("scale", c_float),
        ("last_norm", c_void_p),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        ("tokens", c_int64),
        ("pages", c_int64),
        *((name, c_void_p) for name in ("slots", "positions", "owners", "tables")),
        ("turn", c_void_p),
    )


def _joined(step: JoinedStep) -> list[list[Joined]]:
    """The four matrices of each layer; fewer, if some are of another kind."""
    found = []
    for attention, feed_forward in step.layers:
        four: list[object] = []
        if isinstance(attention, HeadsPart) and isinstance(feed_forward, DensePart):
            swiglu = feed_forward.swiglu
            four = [attention.joint, attention.out, swiglu.gate_up, swiglu.down]
        found.append([each for each in four if isinstance(each, Joined)])
    return found


def heads_step(step: JoinedStep, pages: Sequence[Tensor]) -> "HeadsStep | None":
    """The same step compiled; None if the C++ is not here, or does not know a part.

    Args:
        step: what is to be done.
        pages: the cache, one buffer a layer.

    Shapes:
        each of pages: [blocks, block_size, F].
    """
    layers = []
    for four, rows in zip(_joined(step), pages, strict=True):
        matrices = [each.laid.matrix for each in four if each.laid is not None]
        columns = [each.columns for each in four if each.columns is not None]
        if len(matrices) < 4 or len(columns) != 2 or not _knows(step.model.config):
            return None
        scales = [each.data_ptr() for each in columns]
        layers.append(_Layer(*matrices, *scales, rows.data_ptr()))
    return HeadsStep(step, layers, pages)


def look_back(
    config: Config, block: int, positions: Tensor, owners: Tensor, tables: Tensor
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Attention of one new token a text, which reads the blocks where they lie.

    Args:
        config: of a model with grouped-query attention.
        block: tokens in a block.
        positions: as in `HeadsStep.hidden`, like `owners` and `tables`.

    Returns:
        What takes a layer's rows and its queries; None where there is no compiler.

    Shapes:
        rows: [blocks, block_size, F]; query: [N, H, D]; returns [N, H, D].
    """
    made, sizes = native.library(), _sizes(config, block)
    if made is None or not _knows(config):
        return None
    batch = _Batch(
        tokens=len(positions),
        pages=tables.shape[1],
        positions=positions.data_ptr(),
        owners=owners.data_ptr(),
        tables=tables.data_ptr(),
    )

    def look(rows: Tensor, query: Tensor) -> Tensor:
        query = query.contiguous()
        mixed = torch.empty_like(query)
        made.sparrow_attend(
            c_void_p(rows.data_ptr()),
            byref(sizes),
            byref(batch),
            torch.get_num_threads(),
            c_void_p(query.data_ptr()),
            c_void_p(mixed.data_ptr()),
        )
        return mixed

    return look


def _knows(config: Config) -> bool:
    return config.head_dim % LANES == 0


def _sizes(config: Config, block: int) -> _Sizes:
    return _Sizes(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        middle=config.intermediate_size,
        heads=config.num_attention_heads,
        groups=config.num_key_value_heads,
        head_dim=config.head_dim,
        block=block,
        eps=config.rms_norm_eps,
        scale=rope.attention_scale(config, config.head_dim),
    )


class HeadsStep:
    """A joined step over a paged cache; `heads_step` makes it."""

    def __init__(
        self, joined: JoinedStep, layers: list[_Layer], pages: Sequence[Tensor]
    ) -> None:
        # The C++ reads the memory of both.
        self.joined, self.pages = joined, pages
        self.layers = (_Layer * len(layers))(*layers)
        self.sizes = _sizes(joined.model.config, pages[0].shape[1])
        self.sizes.last_norm = joined.model.norm.weight.data_ptr()

    def hidden(
        self,
        token: Tensor,
        positions: Tensor,
        slots: Tensor,
        owners: Tensor,
        tables: Tensor,
    ) -> Tensor:
        """The states after the last norm.

        Args:
            token: new tokens, those of one text in their order.
            positions: where in its own text each stands.
            slots: where in the cache each is kept.
            owners: whose text it is: a row of `tables`.
            tables: the blocks of each text, in order.

        Shapes:
            token, positions, slots, owners: [N]; tables: [B, P]; returns [N, D].
        """
        made, model = native.library(), self.joined.model
        assert made is not None, "without it there is no step"
        cos, sin = rope.rotation(positions, model.inverse_freq, model.config)
        turn = torch.stack((cos, sin), dim=-1)
        hidden = model.embed_tokens(token)
        tables = tables.contiguous()
        batch = _Batch(
            tokens=len(token),
            pages=tables.shape[1],
            slots=slots.data_ptr(),
            positions=positions.data_ptr(),
            owners=owners.data_ptr(),
            tables=tables.data_ptr(),
            turn=turn.data_ptr(),
        )
        made.sparrow_step(
            self.layers,
            byref(self.sizes),
            byref(batch),
            torch.get_num_threads(),
            c_void_p(hidden.data_ptr()),
        )
        return hidden
