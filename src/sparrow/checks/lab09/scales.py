"""Exercise 9.5: which columns are made larger before rounding, and by how much."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes, compare_close, difference_in_kind
from sparrow.checks.lab09.small import gram, matrix, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.quant import affine, awq, gptq

__all__ = ["CHECKS"]

STRONG, EQUAL = "a few strong inputs", "inputs of one size"
SILENT = "an input that is always zero"
RTOL = 1e-4


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Strong and equal inputs, and one that never speaks."""

    def case(name: str, group: str, rows: int, width: int, size: int) -> Case:
        seen = gram(generator, width)
        strength = torch.ones(width)
        if group != EQUAL:
            strength[:: max(width // 3, 1)] = 12.0
        if group == SILENT:
            strength[1] = 0.0
        seen = strength[:, None] * seen * strength
        inputs: dict[str, Plain] = {
            "weight": matrix(generator, rows, width),
            "gram": seen,
            "size": (seen.diagonal() / 64).sqrt() * 0.8,
            "bits": 4,
            "group_size": size,
        }
        if group == EQUAL:
            inputs["size"] = torch.full((width,), 0.7)
        return Case(name, group, inputs)

    found = [
        case("one group", STRONG, 4, 8, 8),
        case("as many rows as columns", STRONG, 12, 12, 4),
        case("more rows", STRONG, 16, 16, 8),
        case("all alike", EQUAL, 3, 8, 4),
        case("one is silent", SILENT, 8, 8, 8),
    ]
    if hidden:
        found += [
            case("drawn 1", STRONG, some(generator, 4, 9), 16, 8),
            case("drawn 2", STRONG, some(generator, 4, 9), 24, 12),
            case("drawn 3", SILENT, some(generator, 4, 9), 12, 6),
        ]
    return found


def expected(case: Case) -> Plain:
    """The library's scales."""
    return drivers.drive("scaled", awq.search_scale, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same scales, or others around 1 whose outputs are as near."""
    if not difference_in_kind(actual, wanted):
        assert isinstance(actual, Tensor)
        assert isinstance(wanted, Tensor)
        middle = float((actual.max() * actual.min()).clamp(min=0).sqrt())
        least = error_of(wanted, **case.inputs)
        is_as_near = error_of(actual, **case.inputs) <= (1 + RTOL) * least
        if is_as_near and abs(middle - 1) < RTOL:
            return Verdict(True)
    return compare_close(
        actual, wanted, rtol=RTOL, atol=1e-6, causes=causes(), inputs=case.inputs
    )


def rounded(weight: Tensor, bits: int, group_size: int) -> Tensor:
    """A matrix, rounded and back."""
    grid = affine.asymmetric_grid(weight, bits, group_size)
    return affine.from_grid(affine.round_to_grid(weight, grid, bits), grid)


def change_of(scale: Tensor, **inputs: Any) -> Tensor:
    """What rounding changes in the scaled matrix, with the scale divided out."""
    weight = inputs["weight"]
    made = rounded(weight * scale, inputs["bits"], inputs["group_size"])
    return made / scale - weight


def error_of(scale: Tensor, **inputs: Any) -> float:
    """The squared error of all outputs."""
    change = change_of(scale, **inputs)
    return float(gptq.output_error(change, inputs["gram"]).sum())


def powers(size: Tensor) -> list[Tensor]:
    """The scales that are tried, not yet around 1."""
    return [size.clamp(min=1e-4) ** (step / awq.STEPS) for step in range(awq.STEPS)]


def around_one(scale: Tensor) -> Tensor:
    """The same ratios, around 1."""
    return scale / (scale.max() * scale.min()).sqrt()


def causes() -> Causes:
    """What each likely mistake finds."""

    def of(
        rate: Callable[..., float],
        tried: Callable[[Tensor], list[Tensor]] = powers,
        choose: Callable[..., Tensor] = min,
    ) -> Callable[..., Tensor]:
        def mistake(**inputs: Any) -> Tensor:
            scales = [around_one(each) for each in tried(inputs["size"])]
            return choose(scales, key=lambda scale: rate(scale, **inputs))

        return mistake

    def weights_alone(scale: Tensor, **inputs: Any) -> float:
        return float((change_of(scale, **inputs) ** 2).sum())

    def not_divided(scale: Tensor, **inputs: Any) -> float:
        weight = inputs["weight"]
        made = rounded(weight * scale, inputs["bits"], inputs["group_size"])
        return float(gptq.output_error(made - weight, inputs["gram"]).sum())

    def unsettled(**inputs: Any) -> Tensor:
        return min(powers(inputs["size"]), key=lambda each: error_of(each, **inputs))

    return [
        (
            _("Every scale is 1: try all powers, and divide it out to compare."),
            lambda **inputs: torch.ones_like(inputs["size"]),
        ),
        (
            _("This is the last one tried: keep the one with the least error."),
            lambda **inputs: around_one(powers(inputs["size"])[-1]),
        ),
        (_("This is the worst one."), of(error_of, choose=max)),
        (_("Only ratios count: put the scales around 1."), unsettled),
        (
            _("Outputs are compared: the change of the weights alone is no answer."),
            of(weights_alone),
        ),
        (_("Divide the scale out again before you compare."), of(not_divided)),
        (
            _("Strong inputs make their columns larger: this does the contrary."),
            of(error_of, tried=lambda size: [1 / each for each in powers(size)]),
        ),
    ]


CHECKS = {
    "9.5": Check(
        exercise="9.5",
        solution="sparrow.quant.awq:search_scale",
        groups={STRONG: 0.6, EQUAL: 0.2, SILENT: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="scaled",
    )
}
