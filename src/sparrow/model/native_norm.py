"""RMSNorm in one pass of compiled C++, and its gradient in another.

PyTorch makes both of some twenty small steps, each of which reads and writes memory.
The plain twin is `rms_norm`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparrow.model import native_block
from sparrow.model.joined import is_untouched
from sparrow.model.norm import RMSNorm

__all__ = ["through"]


def through(part: RMSNorm, x: Tensor) -> Tensor | None:
    """What the norm makes of x; None: ask its plain twin, as for a whole block.

    Shapes:
        x: [..., D]; returns [..., D].
    """
    if not (native_block.is_float32(x, part.weight) and is_untouched(part)):
        return None
    made: Tensor = _Through.apply(x, part.weight, part.eps)  # type: ignore[no-untyped-call]
    return made


class _Through(torch.autograd.Function):
    """See `through`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        made = native_block.library()
        assert made is not None, "ask `can_learn` first"
        x, scale = x.contiguous(), scale.contiguous()
        out, times = torch.empty_like(x), x.new_empty(x.shape[:-1])
        made.sparrow_norm_forward(
            x.data_ptr(),
            scale.data_ptr(),
            times.numel(),
            len(scale),
            eps,
            out.data_ptr(),
            times.data_ptr(),
            torch.get_num_threads(),
        )
        ctx.save_for_backward(x, scale, times)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, felt: Tensor) -> Any:
        made, threads = native_block.library(), torch.get_num_threads()
        assert made is not None
        x, scale, times = ctx.saved_tensors
        to_x, to_scale = torch.empty_like(x), x.new_empty(threads, len(scale))
        felt = felt.contiguous()
        made.sparrow_norm_backward(
            x.data_ptr(),
            scale.data_ptr(),
            times.data_ptr(),
            felt.data_ptr(),
            times.numel(),
            len(scale),
            to_x.data_ptr(),
            to_scale.data_ptr(),
            threads,
        )
        return to_x, to_scale[0], None
