"""Layers whose matrix is kept in few bits, and PyTorch's kernels that read it so.

Every layer can say its `weight` in full, and `plain` multiplies by that: the obvious
twin of `forward`. What the kernels need, found by measuring on an AMD processor: they
are fast with bfloat16 activations and slow with float32 ones. With many rows it pays to
multiply whole numbers, or, with four bits, to make the matrix whole again first. Large
matrices are multiplied by compiled C++ where there is a compiler: see `native`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow.quant import affine, fp8, packing, whole
from sparrow.quant import native as compiled
from sparrow.quant.affine import Grid
from sparrow.quant.fp8 import Tiles

__all__ = [
    "AffineLinear",
    "DynamicLinear",
    "Fp8Linear",
    "QuantizedEmbedding",
    "QuantizedLinear",
]

INT4_ROWS = 32  # above so many, a whole matrix and a float product are faster
INT8_ROWS = 8  # above so many, a product of whole numbers is faster
# What the kernels read at once: anything else crashes them, or is refused.
KERNEL_GROUPS = (32, 64, 128, 256)
KERNEL_OUTPUTS, KERNEL_INPUTS = 16, 16
INT8_BITS, INT8_MAX = 8, 127.0
REST = 254.0  # what rounding leaves is at most half a step: it gets as many steps again
TINY = torch.finfo(torch.float32).smallest_normal  # the scale of a token of zeros


Multiply = Callable[[Tensor], Tensor]


class QuantizedLinear(nn.Module):
    """What all of them share. Shapes: [..., K] -> [..., N]."""

    in_features: int
    out_features: int

    @property
    def weight(self) -> Tensor:
        """The matrix that the codes stand for, [N, K]."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """How to read the tensors of this layer, for the file that keeps them."""
        raise NotImplementedError

    def plain(self, x: Tensor) -> Tensor:
        """Make the matrix whole again, then multiply."""
        return F.linear(x, self.weight.to(x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, in the fastest way that there is."""
        return self.plain(x)

    def extra_repr(self) -> str:
        """Shown when a model is printed."""
        told = ", ".join(f"{name}={value}" for name, value in self.settings().items())
        return f"{self.in_features}, {self.out_features}, {told}"


class AffineLinear(QuantizedLinear):
    """Codes of four or eight bits on grids; activations stay floating point."""

    codes: Tensor
    scale: Tensor
    zero: Tensor | None

    def __init__(self, codes: Tensor, scale: Tensor, zero: Tensor | None) -> None:
        """Keep what was found.

        Args:
            codes: [N, K] int8, or [N, K / 2] uint8: two codes of four bits a byte.
            scale: [N, G], float32 or bfloat16.
            zero: [N, G] int8; None: code 0 means zero everywhere.
        """
        super().__init__()
        self.bits = 4 if codes.dtype == torch.uint8 else 8
        self.out_features = codes.shape[0]
        self.in_features = codes.shape[1] * 8 // self.bits
        self.group_size = self.in_features // scale.shape[1]
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", zero)
        self._for_kernel: tuple[Tensor, Tensor] | None = None  # made when first needed
        self._laid: tuple[compiled.Laid | None] | None = None  # likewise
        self.most_rows, self.few, self.many = self._choose()

    @property
    def grid(self) -> Grid:
        """Scales and zeros, in float32."""
        scale = self.scale.float()
        zero = torch.zeros_like(scale) if self.zero is None else self.zero.float()
        return Grid(scale, zero)

    @property
    def weight(self) -> Tensor:
        """The matrix that the codes stand for, [N, K], float32."""
        codes = packing.unpack_int4(self.codes) if self.bits == 4 else self.codes
        return affine.from_grid(codes, self.grid)

    def settings(self) -> dict[str, Any]:
        """Bits, weights a scale, and whether zero has a code of its own."""
        return {
            "kind": "affine",
            "bits": self.bits,
            "group_size": self.group_size,
            "symmetric": self.zero is None,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by what is fastest for so many rows."""
        if not self.codes.is_cpu:
            return self.plain(x)
        out = self.flat(x.reshape(-1, self.in_features))
        return out.to(x.dtype).view(*x.shape[:-1], self.out_features)

    def flat(self, x: Tensor) -> Tensor:
        """Rows on a processor: few are rounded to bfloat16 for a kernel.

        Shapes:
            x: [R, K]; returns [R, N], float32.
        """
        by = self.native()
        if by is not None:
            return compiled.multiply(x, by)
        return self.few(x) if len(x) <= self.most_rows else self.many(x)

    def native(self) -> compiled.Laid | None:
        """The matrix for compiled C++; None: it is left to PyTorch."""
        if self._laid is None:
            self._laid = (self._lay(),)
        return self._laid[0]

    def _lay(self) -> compiled.Laid | None:
        return compiled.matrix(self.codes, self.scale, self.zero)

    def _choose(self) -> tuple[int, Multiply, Multiply]:
        """How many rows are few, and what multiplies few and many."""
        if self.out_features % KERNEL_OUTPUTS or self.in_features % KERNEL_INPUTS:
            return 0, self.plain, self.plain
        is_row = self.scale.shape[1] == 1
        if self.bits == 8 and is_row and self.zero is None:
            many = self._int8_in_two if whole.has_fast_products() else self.plain
            return INT8_ROWS, self._int8, many
        if self.bits == 4 and self.group_size in KERNEL_GROUPS:
            return INT4_ROWS, self._int4, self.plain
        return 0, self.plain, self.plain

    def _int8(self, x: Tensor) -> Tensor:
        """One scale a row, which stays float32: it multiplies the kernel's answer."""
        if self._for_kernel is None:
            ones = torch.ones(self.out_features, dtype=torch.bfloat16)
            self._for_kernel = ones, self.scale.float()[:, 0]
        ones, scale = self._for_kernel
        rows = x.to(torch.bfloat16)
        return torch.ops.aten._weight_int8pack_mm(rows, self.codes, ones) * scale

    def _int8_in_two(self, x: Tensor) -> Tensor:
        """Activations as two whole numbers, 16 bits together, in one integer product.

        This is closer to the float product than bfloat16 activations are.
        """
        x = x.float()
        step = x.abs().amax(dim=-1, keepdim=True).clamp_(min=TINY) / INT8_MAX
        exact = x / step
        first = exact.round()
        rest = exact.sub_(first).mul_(REST).round_()
        codes = torch.cat((first, rest)).to(torch.int8)
        first, rest = whole.product(codes, self.codes).chunk(2)
        return first.add_(rest, alpha=1 / REST).mul_(step).mul_(self.scale[:, 0])

    def _int4(self, x: Tensor) -> Tensor:
        """Scales and zeros of groups, as the kernel wants them: weight = code' s + z.

        The kernel's own code' runs from -8, as ours does, so z = -zero · scale.
        """
        if self._for_kernel is None:
            grid = self.grid
            pairs = torch.stack((grid.scale, -grid.zero * grid.scale), dim=-1)
            unsigned = packing.unpack_int4(self.codes).int() + 8
            self._for_kernel = (
                torch.ops.aten._convert_weight_to_int4pack_for_cpu(unsigned, 1),
                pairs.transpose(0, 1).contiguous().to(torch.bfloat16),  # [G, N, 2]
            )
        packed, pairs = self._for_kernel
        return torch.ops.aten._weight_int4pack_mm_for_cpu(
            x.to(torch.bfloat16), packed, self.group_size, pairs
        ).float()


class DynamicLinear(AffineLinear):
    """Activations in int8 too: whole numbers are multiplied and added, exactly.

    Each token has its own scale, found while it passes, so what a token gives does not
    depend on who else is in the batch.
    """

    def settings(self) -> dict[str, Any]:
        """As of the weights; and that activations are rounded."""
        return {**super().settings(), "kind": "dynamic"}

    def rounded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Each token's codes and scale. Shapes: [..., K] -> [..., K], [..., 1]."""
        scale = x.abs().amax(dim=-1, keepdim=True).clamp(min=TINY) / INT8_MAX
        return (x / scale).round().to(torch.int8), scale

    def plain(self, x: Tensor) -> Tensor:
        """Round the activations, make both whole again, multiply."""
        codes, scale = self.rounded(x.float())
        return super().plain(codes * scale).to(x.dtype)

    def _lay(self) -> compiled.Laid | None:
        """As of the weights, with rows of eight bits."""
        return compiled.matrix(self.codes, self.scale, None, bits=INT8_BITS)

    def flat(self, x: Tensor) -> Tensor:
        """Multiply the codes as they are; the two scales come after the sum."""
        by = self.native()
        if by is not None:
            return compiled.multiply(x, by)
        codes, scale = self.rounded(x.float())
        return whole.product(codes, self.codes).mul_(scale).mul_(self.scale[:, 0])


class Fp8Linear(QuantizedLinear):
    """E4M3 in tiles, weights and activations. See `fp8.multiply`."""

    codes: Tensor
    weight_scale_inv: Tensor

    def __init__(self, codes: Tensor, weight_scale_inv: Tensor) -> None:
        """Keep [N, K] numbers and their scales, named as DeepSeek publishes them."""
        super().__init__()
        self.out_features, self.in_features = codes.shape
        self.register_buffer("codes", codes)
        self.register_buffer("weight_scale_inv", weight_scale_inv)

    @property
    def weight(self) -> Tensor:
        """The matrix that the codes stand for, [N, K], float32."""
        return fp8.from_fp8(Tiles(self.codes, self.weight_scale_inv), fp8.SIDE)

    def settings(self) -> dict[str, Any]:
        """The format and its tiles."""
        return {"kind": "fp8", "format": "e4m3fn", "tile": fp8.SIDE}

    def plain(self, x: Tensor) -> Tensor:
        """Tile by tile, as the hardware does it."""
        tiles = fp8.to_fp8(x.reshape(-1, self.in_features), 1)
        weight = Tiles(self.codes, self.weight_scale_inv)
        return fp8.multiply(tiles, weight).to(x.dtype).view(*x.shape[:-1], -1)

    def forward(self, x: Tensor) -> Tensor:
        """The same numbers, made whole before one product in float32."""
        tiles = fp8.to_fp8(x.reshape(-1, self.in_features), 1)
        return (
            F.linear(fp8.from_fp8(tiles, 1), self.weight)
            .to(x.dtype)
            .view(*x.shape[:-1], -1)
        )


class QuantizedEmbedding(nn.Module):
    """Rows of an int8 matrix, made whole one by one. Shapes: [...] -> [..., K]."""

    def __init__(self, matrix: AffineLinear) -> None:
        """Read from `matrix`, which may also be the head: then it is kept once."""
        super().__init__()
        self.matrix = matrix

    @property
    def weight(self) -> Tensor:
        """The whole matrix, [V, K]."""
        return self.matrix.weight

    def forward(self, token: Tensor) -> Tensor:
        """The vectors of these tokens."""
        return self.matrix.codes[token] * self.matrix.scale[token]
