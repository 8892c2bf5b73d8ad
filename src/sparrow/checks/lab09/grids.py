"""Exercises 9.1 to 9.3: guess what four bits cost; then lay two kinds of grids."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close, difference_in_kind
from sparrow.checks.guess import guess_check
from sparrow.checks.lab09.small import ATOL, RTOL, matrix, plain_grid, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict, plain
from sparrow.language import _
from sparrow.quant import affine
from sparrow.quant.affine import Grid

__all__ = ["CHECKS"]

ROWS, GROUPS = "one scale a row", "one scale a group"
SIDES, ZEROS = "weights on one side of zero", "groups of zeros"
Lay = Callable[[Tensor, int, int], Grid]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Rows and groups, 8 and 4 bits, all above zero, all below, nothing at all."""

    def case(name: str, group: str, weight: Tensor, bits: int, size: int) -> Case:
        inputs: dict[str, Plain] = {"weight": weight, "bits": bits, "group_size": size}
        return Case(name, group, inputs)

    above = matrix(generator, 3, 8).abs() + 0.5
    empty = torch.zeros(2, 8)
    empty[0, 4:] = torch.tensor([0.5, -1.0, 0.25, 0.75])
    found = [
        case("8 bits", ROWS, matrix(generator, 3, 6), 8, 6),
        case("as many rows as weights", ROWS, matrix(generator, 4, 4), 4, 4),
        case("4 bits in groups", GROUPS, matrix(generator, 3, 12), 4, 4),
        case("8 bits in groups", GROUPS, matrix(generator, 2, 8), 8, 2),
        case("all above zero", SIDES, above, 4, 4),
        case("all below zero", SIDES, -above, 4, 8),
        case("some groups are zero", ZEROS, empty, 4, 4),
    ]
    if hidden:
        rows, size = some(generator, 1, 5), some(generator, 2, 6)
        found += [
            case("drawn 1", ROWS, matrix(generator, rows, size), 8, size),
            case("drawn 2", GROUPS, matrix(generator, rows, 3 * size), 4, size),
            case("drawn 3", SIDES, matrix(generator, rows, 6).abs() + 0.1, 4, 3),
        ]
    return found


def check_of(exercise: str, name: str, causes: Callable[[], Causes]) -> Check:
    """The check of one kind of grid.

    Args:
        exercise: its number.
        name: the library's function.
        causes: what each likely mistake computes.
    """

    def expected(case: Case) -> Plain:
        """The library's grid."""
        return plain(getattr(affine, name)(**case.inputs))

    def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
        """Scale and zero, and that no scale is 0."""
        if isinstance(actual, list) and len(actual) == 2:
            actual = {"scale": actual[0], "zero": actual[1]}
        kind = difference_in_kind(actual, wanted)
        if not kind and isinstance(actual, dict) and case.group == ZEROS:
            scale = actual["scale"]
            assert isinstance(scale, Tensor)
            if not (scale > 0).all():
                return Verdict(
                    False, _("A group of zeros has a scale of 0: nothing divides by 0.")
                )
        return compare_close(
            actual,
            wanted,
            rtol=RTOL,
            atol=ATOL,
            causes=causes(),
            inputs=case.inputs,
        )

    return Check(
        exercise=exercise,
        solution=f"sparrow.quant.affine:{name}",
        groups={ROWS: 0.3, GROUPS: 0.3, SIDES: 0.25, ZEROS: 0.15},
        cases=cases,
        expected=expected,
        compare=compare,
    )


def ends(weight: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The lowest and the highest weight of each group."""
    groups = weight.unflatten(-1, (-1, size))
    return groups.amin(-1), groups.amax(-1)


def around_zero(scale: Tensor) -> dict[str, Plain]:
    """A grid whose code 0 means zero."""
    return plain_grid(Grid(scale.clamp(min=affine.TINY), torch.zeros_like(scale)))


def symmetric_causes() -> Causes:
    """What each likely mistake lays."""

    def of(make: Callable[[Tensor, int], Tensor]) -> Callable[..., dict[str, Plain]]:
        def mistake(weight: Tensor, bits: int, group_size: int) -> dict[str, Plain]:
            groups = weight.unflatten(-1, (-1, group_size))
            return around_zero(make(groups, bits))

        return mistake

    return [
        (
            _("The largest weight may be below zero: its sign does not count."),
            of(lambda groups, bits: groups.amax(-1) / ((2**bits - 1) / 2)),
        ),
        (
            _("From -largest to largest it is twice as far."),
            of(lambda groups, bits: groups.abs().amax(-1) / (2**bits - 1)),
        ),
        (
            _("There is one step less than there are codes."),
            of(lambda groups, bits: groups.abs().amax(-1) / (2**bits / 2)),
        ),
        (
            _("The grid reaches from -largest to largest: half a step is left out."),
            of(lambda groups, bits: groups.abs().amax(-1) / (2 ** (bits - 1) - 1)),
        ),
        (
            _("This is the grid from the lowest to the highest weight."),
            lambda **inputs: plain_grid(affine.asymmetric_grid(**inputs)),
        ),
        (
            _("A mean leaves the largest weights off the grid."),
            of(lambda groups, bits: groups.abs().mean(-1) / ((2**bits - 1) / 2)),
        ),
    ]


def asymmetric_causes() -> Causes:
    """What each likely mistake lays."""

    def of(
        make: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]],
    ) -> Callable[..., dict[str, Plain]]:
        def mistake(weight: Tensor, bits: int, group_size: int) -> dict[str, Plain]:
            low, high = ends(weight, group_size)
            return plain_grid(Grid(*make(low, high, bits)))

        return mistake

    def laid(
        low: Tensor,
        high: Tensor,
        bits: int,
        *,
        steps: int = 0,
        first: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        scale = ((high - low) / (steps or 2**bits - 1)).clamp(min=affine.TINY)
        begin, last = affine.code_range(bits)
        begin = begin if first is None else first
        zero = begin - (low / scale).round()
        return scale, zero if first is not None else zero.clamp(begin, last)

    def wide(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        return low.clamp(max=0), high.clamp(min=0)

    def turned(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        scale, _zero = laid(*wide(low, high), bits)
        begin, last = affine.code_range(bits)
        return scale, (begin + (low.clamp(max=0) / scale).round()).clamp(begin, last)

    def unrounded(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        scale, _zero = laid(*wide(low, high), bits)
        begin, last = affine.code_range(bits)
        return scale, (begin - low.clamp(max=0) / scale).clamp(begin, last)

    return [
        (
            _("Zero must lie on the grid, also where all weights are on one side."),
            of(laid),
        ),
        (
            _("There is one step less than there are codes."),
            of(lambda low, high, bits: laid(*wide(low, high), bits, steps=2**bits)),
        ),
        (
            _("The codes have a sign: the lowest is not 0."),
            of(lambda low, high, bits: laid(*wide(low, high), bits, first=0)),
        ),
        (_("Zero lies above the lowest weight: its sign is turned."), of(turned)),
        (_("The code that means zero is a code: round it."), of(unrounded)),
        (
            _("This grid is the same on both sides of zero."),
            lambda **inputs: plain_grid(affine.symmetric_grid(**inputs)),
        ),
    ]


CHECKS = {
    "9.1": guess_check("9.1", "how many of 100", lambda: _("answers of 100")),
    "9.2": check_of("9.2", "symmetric_grid", symmetric_causes),
    "9.3": check_of("9.3", "asymmetric_grid", asymmetric_causes),
}
