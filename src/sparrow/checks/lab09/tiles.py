"""Exercise 9.6: the scale of each tile of FP8 numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close, difference_in_kind
from sparrow.checks.lab09.small import RTOL, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.quant import fp8

__all__ = ["CHECKS"]

ROWS, BLOCKS, ENDS = "tiles of 1 x 128", "tiles of 128 x 128", "tiles at the edge"
NOTHING = "tiles of zeros"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Both kinds of tiles, widths that 128 does not divide, and nothing at all."""

    def case(name: str, group: str, height: int, width: int, rows: int) -> Case:
        x = torch.randn(height, width, generator=generator)
        x[0, 0] = -9.0  # the largest number is below zero
        x = x * torch.linspace(0.5, 4, height)[:, None]
        if group == NOTHING:
            x[:, :128] = 0
        return Case(name, group, {"x": x, "rows": rows})

    found = [
        case("two tiles a row", ROWS, 3, 256, 1),
        case("as many rows as tiles", ROWS, 2, 256, 1),
        case("two tiles, one over the other", BLOCKS, 256, 128, 128),
        case("four tiles", BLOCKS, 256, 256, 128),
        case("a width of 200", ENDS, 3, 200, 1),
        case("a height of 150", ENDS, 150, 300, 128),
        case("smaller than a tile", ENDS, 20, 30, 128),
        case("zeros", NOTHING, 2, 256, 1),
    ]
    if hidden:
        found += [
            case("drawn 1", ROWS, some(generator, 2, 5), 384, 1),
            case("drawn 2", BLOCKS, 128, 128 * some(generator, 2, 4), 128),
            case(
                "drawn 3", ENDS, some(generator, 130, 200), some(generator, 9, 99), 128
            ),
        ]
    return found


def expected(case: Case) -> Plain:
    """The library's scales."""
    return fp8.tile_scale(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same scales; none may be 0."""
    if case.group == NOTHING and not difference_in_kind(actual, wanted):
        assert isinstance(actual, Tensor)
        if not (actual > 0).all():
            return Verdict(
                False, _("A tile of zeros has a scale of 0: nothing divides by 0.")
            )
    return compare_close(
        actual, wanted, rtol=RTOL, atol=1e-30, causes=causes(), inputs=case.inputs
    )


def causes() -> Causes:
    """What each likely mistake gives."""

    def of(change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        return lambda x, rows: change(fp8.tile_scale(x, rows))

    def signed(x: Tensor, rows: int) -> Tensor:
        return fp8.tile_scale(x.clamp(min=0), rows)

    return [
        (
            _("This is the largest number with its sign: it may be one below zero."),
            signed,
        ),
        (
            _("These are the largest numbers: divide them by 448."),
            of(lambda scale: scale * fp8.LARGEST),
        ),
        (
            _("It is turned over: the scale is what a code is multiplied by."),
            of(lambda scale: 1 / scale),
        ),
        (
            _("127 is the largest number of int8, and not of E4M3."),
            of(lambda scale: scale * fp8.LARGEST / 127),
        ),
        (
            _("One scale for everything: each tile has its own."),
            of(lambda scale: scale.max().expand(scale.shape)),
        ),
    ]


CHECKS = {
    "9.6": Check(
        exercise="9.6",
        solution="sparrow.quant.fp8:tile_scale",
        groups={ROWS: 0.35, BLOCKS: 0.3, ENDS: 0.25, NOTHING: 0.1},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
