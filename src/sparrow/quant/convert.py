"""Quantize a whole model: a copy whose matrices are kept in few bits."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparrow import runtime
from sparrow.errors import QuantizationError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.model.linear import Linear
from sparrow.quant import affine, apart, calibrate, folding, fp8, gptq, packing
from sparrow.quant import scheme as schemes
from sparrow.quant.affine import Grid
from sparrow.quant.calibrate import Flow
from sparrow.quant.linear import (
    AffineLinear,
    DynamicLinear,
    Fp8Linear,
    QuantizedEmbedding,
    QuantizedLinear,
)
from sparrow.quant.scheme import Scheme

__all__ = ["Progress", "is_quantized", "matrices", "quantize", "quantize_matrix"]

Progress = Callable[[int, int], None]  # layers so far, layers in all
HEAD = Scheme()  # int8, one scale a row


def is_quantized(model: Sparrow) -> bool:
    """Whether any matrix of the model is kept in few bits."""
    return any(isinstance(each, QuantizedLinear) for each in model.modules())


def matrices(model: nn.Module) -> dict[str, Linear]:
    """The matrices of a model, or of a part of it, that a scheme is about.

    The head is not among them. Norms and routers are no such layers: they stay.
    """
    return {
        name: each
        for name, each in model.named_modules()
        if isinstance(each, Linear) and name != "lm_head"
    }


@torch.no_grad()
def quantize(
    model: Sparrow,
    scheme: str | Scheme,
    calibration: Tensor | None = None,
    *,
    progress: Progress | None = None,
) -> Sparrow:
    """A copy of the model that needs fewer bytes; it computes in float32.

    Args:
        model: what to quantize; it stays as it is.
        scheme: a name, such as `"int8"`, or a `Scheme`.
        calibration: token ids of text such as the model will read; only some schemes
            look at it.
        progress: told the layers so far and the layers in all, as they are done.

    Shapes:
        calibration: [R, T].

    Raises:
        QuantizationError: there is no such scheme, the model is quantized already, a
            matrix has a width that the groups do not divide, or calibration is
            missing, empty or cannot be read.
    """
    chosen = schemes.find(scheme)
    if is_quantized(model):
        raise QuantizationError(
            _("this model is quantized already: begin again with the original one.")
        )
    _check_widths(model, chosen)
    ids = None
    if chosen.needs_calibration:
        if calibration is None:
            raise QuantizationError(
                _(
                    "{method} looks at what flows through the model: give calibration, "
                    "token ids in rows.",
                    method=chosen.method,
                )
            )
        ids = calibrate.check(calibration, model)
    made = copy.deepcopy(model).float().eval().requires_grad_(False)
    apart.take_apart(made)
    if chosen.format == "integer":
        _quantize_head(made)
    layers = len(made.layers) + len(made.mtp)
    with runtime.fast_matmul():
        for done, unit in enumerate(calibrate.units(made, ids), start=1):
            _quantize_unit(unit, chosen)
            if progress is not None:
                progress(done, layers)
    return made


def _check_widths(model: Sparrow, scheme: Scheme) -> None:
    """Every matrix must fall into whole groups, before any work is done."""
    widths = {name: each.in_features for name, each in matrices(model).items()}
    for name, each in model.named_parameters():
        if ".experts." in name:  # stacked: [E, N, K]
            widths.setdefault(name, each.shape[-1])
    for name, width in widths.items():
        size = scheme.group_size
        if size is not None and width % size:
            raise QuantizationError(
                _(
                    "{name} has {width} inputs, which is no multiple of the group of "
                    "{size}: choose a group that divides it.",
                    name=name,
                    width=width,
                    size=size,
                )
            )
        if scheme.bits == 4 and width % 2:
            raise QuantizationError(
                _(
                    "{name} has {width} inputs, and two codes of four bits share a "
                    "byte: an odd number cannot be packed.",
                    name=name,
                    width=width,
                )
            )


def _quantize_head(model: Sparrow) -> None:
    """Head and embedding; where they are one matrix, it is kept once."""
    is_tied = model.config.tie_word_embeddings
    head = quantize_matrix(model.lm_head.weight, HEAD)
    table = head if is_tied else quantize_matrix(model.embed_tokens.weight, HEAD)
    assert isinstance(table, AffineLinear)
    model.set_submodule("lm_head", head)
    model.set_submodule("embed_tokens", QuantizedEmbedding(table))


def _quantize_unit(unit: calibrate.Unit, scheme: Scheme) -> None:
    """One layer: look at what flows, scale, round, put the new matrices in place."""
    if scheme.needs_calibration:
        with calibrate.listen(unit):
            unit.run()
    if scheme.method == "awq":
        folding.fold(unit, lambda weight: quantize_matrix(weight, scheme).weight)
    for name, matrix in matrices(unit.module).items():
        flow = unit.flows.get(name) if scheme.method == "gptq" else None
        unit.module.set_submodule(name, quantize_matrix(matrix.weight, scheme, flow))


def quantize_matrix(
    weight: Tensor, scheme: Scheme, flow: Flow | None = None
) -> QuantizedLinear:
    """One matrix, as the scheme wants it.

    Args:
        weight: [N, K].
        scheme: what to do.
        flow: what comes into the matrix, for GPTQ; None: round to the nearest.
    """
    weight = weight.detach().float()
    if scheme.format == "fp8":
        return Fp8Linear(*fp8.to_fp8(weight, fp8.SIDE))
    size = scheme.group_size or weight.shape[1]
    find = affine.symmetric_grid if scheme.symmetric else affine.asymmetric_grid
    grid = find(weight, scheme.bits, size)
    scale = grid.scale
    if scheme.group_size is not None:
        # Scales of groups are kept in bfloat16: round first, then find the codes.
        scale = scale.to(torch.bfloat16)
        grid = Grid(scale.float(), grid.zero)
    if flow is None:
        codes = affine.round_to_grid(weight, grid, scheme.bits)
    else:
        codes = gptq.quantize(weight, flow.gram, grid, scheme.bits, ways=scheme.beam)
    kept = packing.pack_int4(codes) if scheme.bits == 4 else codes
    zero = None if scheme.symmetric else grid.zero.to(torch.int8)
    kind = DynamicLinear if scheme.activations == "int8" else AffineLinear
    return kind(kept, scale, zero)
