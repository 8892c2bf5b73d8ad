"""Draw the tensors of a case, and say how exact its precision can be."""

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.protocol import Plain, Verdict

__all__ = ["compare_tensors", "drawn"]

# Two roundings of a value near 1, and room for another order of summation.
RTOL = {torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}
ATOL = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def drawn(
    generator: torch.Generator,
    *shape: int,
    size: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Numbers from a bell curve of width `size`."""
    return (torch.randn(*shape, generator=generator) * size).to(dtype)


def compare_tensors(
    actual: Plain, expected: Tensor, causes: Causes, inputs: dict[str, Plain]
) -> Verdict:
    """Are they close, as far as their precision allows? If not: the likeliest cause."""
    return compare_close(
        actual,
        expected,
        rtol=RTOL[expected.dtype],
        atol=ATOL[expected.dtype],
        causes=causes,
        inputs=inputs,
    )
