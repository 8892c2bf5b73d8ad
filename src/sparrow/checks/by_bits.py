"""Drivers for what is kept in few bits: grids, columns, scales, and a whole model."""

from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["few_bits", "on_grid", "scaled"]


def on_grid(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function whose argument `grid` is a record of a scale and a zero."""
    from sparrow.quant.affine import Grid

    return plain(function(**{**inputs, "grid": Grid(**inputs["grid"])}))


def scaled(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a search for scales; `bits` and `group_size` say how it rounds.

    `inputs` also holds `weight`, `gram` and `size`.
    """
    from sparrow.quant import affine

    own = dict(inputs)
    bits, group_size = own.pop("bits"), own.pop("group_size")

    def rounded(weight: Any) -> Any:
        grid = affine.asymmetric_grid(weight, bits, group_size)
        return affine.from_grid(affine.round_to_grid(weight, grid, bits), grid)

    return plain(function(**own, rounded=rounded))


def few_bits(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open the evidence of lab 09, and measure its model again.

    `inputs` holds `artefact`, the bytes of the file as a tensor, or None.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged.
    """
    from sparrow.evaluate import quantized_evidence as evidence

    return plain(evidence.measured(artefact_in(inputs, evidence.FILE)))
