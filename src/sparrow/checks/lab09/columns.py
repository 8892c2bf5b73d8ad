"""Exercise 9.4: round column after column; the others make up for each error."""

from typing import Any

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.lab09.small import gram, matrix, plain_grid, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.quant import affine, gptq
from sparrow.quant.affine import Grid

__all__ = ["CHECKS"]

ALONE, TOGETHER = "inputs that have nothing to do with each other", "inputs alike"
LARGER = "a whole layer"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """A root that joins nothing, two columns, many; groups and rows."""

    def case(
        name: str, group: str, rows: int, width: int, size: int, bits: int = 4
    ) -> Case:
        weight = matrix(generator, rows, width)
        grid = affine.asymmetric_grid(weight, bits, size)
        own = Grid(*(each.repeat_interleave(size, 1) for each in grid))
        seen = gram(generator, width)
        if group == ALONE:
            seen = seen.diagonal().diag()
        inputs: dict[str, Plain] = {
            "weight": weight,
            "grid": plain_grid(own),
            "root": gptq.inverse_root(seen),
            "bits": bits,
        }
        return Case(name, group, inputs)

    found = [
        case("three columns", ALONE, 4, 3, 3),
        case("two columns", TOGETHER, 6, 2, 2),
        case("as many rows as columns", TOGETHER, 5, 5, 5),
        case("groups", TOGETHER, 4, 12, 4),
        case("a layer", LARGER, 16, 48, 16),
    ]
    if hidden:
        found += [
            case("drawn 1", ALONE, some(generator, 2, 6), 4, 2),
            case("drawn 2", TOGETHER, some(generator, 4, 8), 8, 4),
            case("drawn 3", LARGER, 24, 32, 8, bits=8),
        ]
    return found


def expected(case: Case) -> Plain:
    """The library's codes."""
    grid = case.inputs["grid"]
    assert isinstance(grid, dict)
    inputs: dict[str, Any] = {**case.inputs, "grid": Grid(**grid)}  # type: ignore[arg-type]
    return gptq.round_columns(**inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same codes."""
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


def rounded(
    weight: Tensor,
    grid: dict[str, Tensor],
    root: Tensor,
    bits: int,
    *,
    sign: float = 1,
    own: str = "left",
    is_divided: bool = True,
) -> Tensor:
    """Column by column, as likely mistakes do it.

    Args:
        weight: see `gptq.round_columns`.
        grid: as there.
        root: as there.
        bits: as there.
        sign: of what the other columns give way by; 0: they do not.
        own: what the error is taken from: "left" or "weight".
        is_divided: whether it is divided by the root's diagonal.
    """
    left, root = weight.T.clone(), root.to(weight.dtype)
    codes = torch.empty_like(weight, dtype=torch.int8)
    for column in range(weight.shape[1]):
        one = Grid(grid["scale"][:, column, None], grid["zero"][:, column, None])
        found = affine.round_to_grid(left[column, :, None], one, bits)
        codes[:, column] = found[:, 0]
        begin = left[column] if own == "left" else weight[:, column]
        error = begin - affine.from_grid(found, one)[:, 0]
        if is_divided:
            error = error / root[column, column]
        left[column + 1 :] -= sign * root[column, column + 1 :, None] * error
    return codes


def causes() -> Causes:
    """What each likely mistake gives."""
    return [
        (
            _("Every column is rounded for itself: nobody makes up for its error."),
            lambda **inputs: rounded(**inputs, sign=0),
        ),
        (
            _("The others go the wrong way: they give way, with a minus."),
            lambda **inputs: rounded(**inputs, sign=-1),
        ),
        (
            _("Divide the error by the root's own number at this column."),
            lambda **inputs: rounded(**inputs, is_divided=False),
        ),
        (
            _("The error is that of the column as it is now, and not as it was."),
            lambda **inputs: rounded(**inputs, own="weight"),
        ),
    ]


CHECKS = {
    "9.4": Check(
        exercise="9.4",
        solution="sparrow.quant.gptq:round_columns",
        groups={ALONE: 0.2, TOGETHER: 0.5, LARGER: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="on_grid",
    )
}
