"""How far the outputs of every matrix move, by the way in which it is rounded."""

import copy

import torch
from torch import Tensor

from sparrow.model import Sparrow
from sparrow.quant import affine, apart, awq, calibrate, convert, gptq
from sparrow.quant.calibrate import Flow
from sparrow.quant.convert import Progress

__all__ = ["output_errors", "ratios"]

BITS, GROUP = 4, 32


def rounded(weight: Tensor) -> Tensor:
    """A matrix, rounded to the nearest and back. Shapes: [N, K] -> [N, K]."""
    grid = affine.asymmetric_grid(weight, BITS, GROUP)
    return affine.from_grid(affine.round_to_grid(weight, grid, BITS), grid)


def output_errors(weight: Tensor, flow: Flow) -> dict[str, float]:
    """The squared error of all outputs of a matrix: nearest, gptq, awq.

    Args:
        weight: [N, K].
        flow: what comes into it.
    """
    grid = affine.asymmetric_grid(weight, BITS, GROUP)
    codes = gptq.quantize(weight, flow.gram, grid, BITS)
    scale = awq.search_scale(weight, flow.gram, flow.size, rounded)
    made = {
        "nearest": rounded(weight),
        "gptq": affine.from_grid(codes, grid),
        "awq": rounded(weight * scale) / scale,
    }
    return {
        name: float(gptq.output_error(each - weight, flow.gram).sum())
        for name, each in made.items()
    }


@torch.no_grad()
def ratios(
    model: Sparrow, ids: Tensor, progress: Progress | None = None
) -> dict[str, list[float]]:
    """What gptq and awq leave of the error of rounding, matrix by matrix.

    Args:
        model: it stays as it is.
        ids: token ids of text such as it reads, [R, T].
        progress: told the layers so far and the layers in all.
    """
    parts = copy.deepcopy(model).float()
    apart.take_apart(parts)
    layers = len(parts.layers) + len(parts.mtp)
    found: dict[str, list[float]] = {"gptq": [], "awq": []}
    for done, unit in enumerate(calibrate.units(parts, ids), start=1):
        with calibrate.listen(unit):
            unit.run()
        for name, matrix in convert.matrices(unit.module).items():
            if unit.flows[name].count == 0:
                continue  # an expert that no token was sent to
            errors = output_errors(matrix.weight, unit.flows[name])
            for method, each in found.items():
                each.append(errors[method] / errors["nearest"])
        if progress is not None:
            progress(done, layers)
    return found
