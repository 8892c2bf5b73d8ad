"""The checks of lab 09 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.quant import affine, awq, fp8, gptq
from sparrow.quant.affine import Grid
from tests.labs import harness
from tests.labs.harness import Left, Mutant, patched

EVEN = "sparrow.quant.affine:symmetric_grid"
UNEVEN = "sparrow.quant.affine:asymmetric_grid"
COLUMNS = "sparrow.quant.gptq:round_columns"
SCALES = "sparrow.quant.awq:search_scale"
TILES = "sparrow.quant.fp8:tile_scale"
BUILT = ("9.2", "9.3", "9.4", "9.5", "9.6")
Rounded = Callable[[Tensor], Tensor]


# ---- 9.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "90", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]


# ---- 9.2: a grid around zero ----

WRONG_EVEN = [
    Mutant("with its sign", patched(EVEN, ".abs()", ""), "does not count"),
    Mutant("one side", patched(EVEN, "((2**bits - 1) / 2)", "(2**bits - 1)"), "twice"),
    Mutant(
        "as many steps as codes", patched(EVEN, "2**bits - 1", "2**bits"), "one step"
    ),
    Mutant(
        "half a step less",
        patched(EVEN, "((2**bits - 1) / 2)", "(2 ** (bits - 1) - 1)"),
        "half a step",
    ),
    Mutant("no scale for zeros", patched(EVEN, ".clamp(min=TINY)", ""), "divides by 0"),
    Mutant("a mean", patched(EVEN, ".amax(", ".mean("), "off the grid"),
    Mutant("the other grid", affine.asymmetric_grid, "lowest to the highest"),
    Mutant(
        "one for all", patched(EVEN, "amax(dim=-1)", "amax()[None, None]"), "shape", 0
    ),
    Mutant("a scale alone", lambda weight, bits, group_size: weight.abs().amax(-1)),
    Mutant("nothing", lambda weight, bits, group_size: None, "return missing", 0),
]


def even_by_loop(weight: Tensor, bits: int, group_size: int) -> tuple[Tensor, Tensor]:
    """Group by group, and a plain pair at the end."""
    rows = [
        [max(float(part.abs().max()), 1e-37) for part in row.split(group_size)]
        for row in weight
    ]
    scale = torch.tensor(rows) * 2 / (2**bits - 1)
    return scale, torch.zeros(scale.shape)


def even_by_reshape(weight: Tensor, bits: int, group_size: int) -> Grid:
    """The larger of both ends."""
    groups = weight.reshape(weight.shape[0], -1, group_size)
    largest = torch.maximum(groups.max(-1).values, -groups.min(-1).values)
    scale = torch.where(largest > 0, largest / (2 ** (bits - 1) - 0.5), affine.TINY)
    return Grid(scale, scale * 0)


# ---- 9.3: a grid from the lowest to the highest ----

WRONG_UNEVEN = [
    Mutant(
        "zero not on it",
        lambda weight, bits, group_size: _without_zero(weight, bits, group_size),
        "Zero must lie",
    ),
    Mutant(
        "as many steps as codes", patched(UNEVEN, "2**bits - 1", "2**bits"), "one step"
    ),
    Mutant(
        "from code 0",
        patched(
            UNEVEN,
            "(first - (low / scale).round()).clamp(first, last)",
            "-(low / scale).round()",
        ),
        "not 0",
    ),
    Mutant("turned", patched(UNEVEN, "first - (low", "first + (low"), "sign is turned"),
    Mutant("not rounded", patched(UNEVEN, ".round()", ""), "round it"),
    Mutant("the other grid", affine.symmetric_grid, "both sides"),
    Mutant("no scale for zeros", patched(UNEVEN, ".clamp(min=TINY)", ""), "holds NaN"),
    Mutant("from the end", patched(UNEVEN, "(first - (low", "(last - (low")),
]


def _without_zero(weight: Tensor, bits: int, group_size: int) -> Grid:
    groups = weight.unflatten(-1, (-1, group_size))
    low, high = groups.amin(dim=-1), groups.amax(dim=-1)
    scale = ((high - low) / (2**bits - 1)).clamp(min=affine.TINY)
    first, last = affine.code_range(bits)
    return Grid(scale, (first - (low / scale).round()).clamp(first, last))


def uneven_by_padding(weight: Tensor, bits: int, group_size: int) -> Grid:
    """A zero joins every group, so that it lies between the ends."""
    groups = F.pad(weight.reshape(len(weight), -1, group_size), (0, 1))
    low, high = groups.aminmax(dim=-1)
    scale = torch.clamp((high - low) / (2**bits - 1), min=affine.TINY)
    zero = -(2 ** (bits - 1)) - torch.round(low / scale)
    return Grid(scale, zero)


def uneven_by_loop(weight: Tensor, bits: int, group_size: int) -> list[Tensor]:
    """One group after the other."""
    scale = torch.empty(len(weight), weight.shape[1] // group_size)
    zero = torch.empty_like(scale)
    for n, row in enumerate(weight):
        for g, part in enumerate(row.split(group_size)):
            low, high = min(float(part.min()), 0.0), max(float(part.max()), 0.0)
            step = max((high - low) / (2**bits - 1), affine.TINY)
            scale[n, g] = step
            zero[n, g] = -(2 ** (bits - 1)) + round(-low / step)
    return [scale, zero]


# ---- 9.4: column by column ----

WRONG_COLUMNS = [
    Mutant("nobody gives way", patched(COLUMNS, "* error\n", "* 0\n"), "makes up"),
    Mutant("the wrong way", patched(COLUMNS, "+ 1 :] -=", "+ 1 :] +="), "wrong way"),
    Mutant(
        "not divided",
        patched(COLUMNS, "error / root[column, column]", "error"),
        "Divide",
    ),
    Mutant(
        "the old column",
        patched(COLUMNS, "error = left[column]", "error = weight[:, column]"),
        "as it is now",
    ),
    Mutant(
        "last first",
        patched(COLUMNS, "range(weight.shape[1])", "reversed(range(weight.shape[1]))"),
        "makes up",
    ),
    Mutant(
        "the other triangle",
        patched(
            COLUMNS,
            "root[column, column + 1 :, None]",
            "root[column + 1 :, column, None]",
        ),
        "makes up",
    ),
    Mutant(
        "floats",
        patched(COLUMNS, ", dtype=torch.int8", ""),
        "type",
        earns=0,
    ),
    Mutant("turned", patched(COLUMNS, "return codes", "return codes.T"), earns=None),
]


def columns_by_rows(weight: Tensor, grid: Grid, root: Tensor, bits: int) -> Tensor:
    """In the order of the paper: weights keep their axes."""
    left, codes = weight.clone(), []
    root = root.float()
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for i in range(left.shape[1]):
        scale, zero = grid.scale[:, i], grid.zero[:, i]
        code = ((left[:, i] * (1 / scale)).round() + zero).clamp(lowest, highest)
        codes.append(code.to(torch.int8))
        error = (left[:, i] - (code - zero) * scale) / root[i, i]
        left[:, i:] -= torch.outer(error, root[i, i:])
    return torch.stack(codes, dim=1)


def columns_in_double(weight: Tensor, grid: Grid, root: Tensor, bits: int) -> Tensor:
    """With more digits than anybody needs."""
    left = weight.double().clone()
    codes = torch.zeros(weight.shape, dtype=torch.int8)
    for i in range(left.shape[1]):
        own = Grid(grid.scale[:, i : i + 1].double(), grid.zero[:, i : i + 1].double())
        codes[:, i : i + 1] = affine.round_to_grid(left[:, i : i + 1], own, bits)
        gone = left[:, i : i + 1] - affine.from_grid(codes[:, i : i + 1], own)
        left[:, i + 1 :] -= gone / root[i, i] * root[i, i + 1 :]
    return codes


# ---- 9.5: scales for columns ----


def nothing_scaled(
    weight: Tensor, gram: Tensor, size: Tensor, rounded: Rounded
) -> Tensor:
    return torch.ones_like(size)


def the_last(weight: Tensor, gram: Tensor, size: Tensor, rounded: Rounded) -> Tensor:
    scale = size.clamp(min=1e-4) ** (19 / 20)
    return scale / (scale.max() * scale.min()).sqrt()


WRONG_SCALES = [
    Mutant("nothing is scaled", nothing_scaled, "Every scale is 1"),
    Mutant("the last", the_last, "last one"),
    Mutant("the worst", lambda **given: _worst(**given), "last one"),
    Mutant(
        "not around 1",
        patched(SCALES, "scale / (scale.max() * scale.min()).sqrt()", "scale"),
        "around 1",
    ),
    Mutant(
        "weights alone",
        patched(SCALES, "gptq.output_error(change, gram)", "(change**2)"),
        "change of the weights",
    ),
    Mutant(
        "not divided out",
        patched(SCALES, "rounded(weight * scale) / scale", "rounded(weight * scale)"),
        "divide it out",
    ),
    Mutant(
        "the contrary",
        patched(SCALES, "** (step / STEPS)", "** (-step / STEPS)"),
        "contrary",
    ),
    Mutant("an error", patched(SCALES, "return best", "return least"), earns=0),
]


def _worst(weight: Tensor, gram: Tensor, size: Tensor, rounded: Rounded) -> Tensor:
    from sparrow.checks.lab09 import scales

    tried = [scales.around_one(each) for each in scales.powers(size)]
    return max(
        tried,
        key=lambda t: float(
            gptq.output_error(rounded(weight * t) / t - weight, gram).sum()
        ),
    )


def scales_by_min(
    weight: Tensor, gram: Tensor, size: Tensor, rounded: Rounded
) -> Tensor:
    """All at once, then the least."""
    found = []
    for power in torch.arange(20) / 20:
        t = torch.pow(size.clamp(min=1e-4), power)
        t = t / (t.amax() * t.amin()) ** 0.5
        d = rounded(weight * t) / t - weight
        found.append((float(torch.einsum("nk,kj,nj->", d, gram, d)), t))
    return min(found, key=lambda pair: pair[0])[1]


def scales_by_logarithms(
    weight: Tensor, gram: Tensor, size: Tensor, rounded: Rounded
) -> Tensor:
    """Powers are products of logarithms, and the middle is taken away first."""
    log = size.clamp(min=1e-4).log()
    log = log - (log.max() + log.min()) / 2
    best, least = log.mul(0).exp(), math.inf
    for step in range(20):
        t = (log * step / 20).exp()
        d = rounded(weight * t) / t - weight
        error = ((d @ gram) * d).sum().item()
        if error < least:
            best, least = t, error
    return best


# ---- 9.6: tiles ----

WRONG_TILES = [
    Mutant("with its sign", patched(TILES, ".abs()", ""), "with its sign"),
    Mutant("not divided", patched(TILES, " / LARGEST", ""), "divide them by 448"),
    Mutant(
        "turned over",
        lambda x, rows: 1 / fp8.tile_scale(x, rows),
        "turned over",
    ),
    Mutant("127", lambda x, rows: fp8.tile_scale(x, rows) * 448 / 127, "int8"),
    Mutant(
        "one for all",
        lambda x, rows: (
            fp8.tile_scale(x, rows).max().expand(fp8.tile_scale(x, rows).shape)
        ),
        "One scale for everything",
    ),
    Mutant(
        "no edges",
        patched(TILES, "F.pad(x, (0, -width % SIDE, 0, -height % rows))", "x"),
        earns=None,
    ),
    Mutant(
        "no scale for zeros",
        patched(TILES, ".clamp(min=TINY)", ""),
        "divides by 0",
        0.9,
    ),
    Mutant("a mean", patched(TILES, "amax(", "mean(")),
]


def tiles_by_loop(x: Tensor, rows: int) -> Tensor:
    """Tile by tile; slices stop at the edge by themselves."""
    return (
        torch.stack(
            [
                torch.stack(
                    [
                        x[top : top + rows, left : left + 128]
                        .abs()
                        .max()
                        .clamp(min=1e-30)
                        for left in range(0, x.shape[1], 128)
                    ]
                )
                for top in range(0, x.shape[0], rows)
            ]
        )
        / 448
    )


def tiles_by_pooling(x: Tensor, rows: int) -> Tensor:
    """A picture, and its largest points."""
    found = F.max_pool2d(x.abs()[None, None], (rows, 128), ceil_mode=True)
    return found[0, 0].clamp(min=1e-30) / torch.finfo(torch.float8_e4m3fn).max


# ---- 9.7: the file that the lab leaves ----

N = 200
BEFORE = {"losses": [0.06 + 0.001 * (n % 9) for n in range(N)]}
AFTER = {"losses": [0.063 + 0.0012 * (n * 7 % 11) for n in range(N)]}
BEFORE["right"] = [n % 8 != 0 for n in range(N)]
AFTER["right"] = [(n % 8 != 0 and n % 25 != 3) or n == 16 for n in range(N)]


def interval(
    changes: list[float], curve: Any = float, wide: float = 1.0
) -> list[float]:
    mean = sum(changes) / N
    deviation = (sum((each - mean) ** 2 for each in changes) / (N - 1)) ** 0.5
    half = wide * 1.96 * deviation / N**0.5
    return [curve(mean), curve(mean - half), curve(mean + half)]


def claim_of(wide: float = 1.0, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"bits": 5.0}
    for key, name, curve in (
        ("losses", "perplexity", math.expm1),
        ("right", "right", float),
    ):
        both = zip(AFTER[key], BEFORE[key], strict=True)
        ends = interval([float(a) - float(b) for a, b in both], curve, wide)
        for end, value in zip(("", "_low", "_high"), ends, strict=True):
            found[name + end] = value
    return {**found, **changes}


CLAIM = claim_of()


def left(claim: Any = None, **changes: Any) -> Left:
    """What the driver would tell of a good file, with some changes."""
    good = {
        "bytes": 500,
        "weights": 800,
        "before": BEFORE,
        "after": AFTER,
        "claim": CLAIM if claim is None else claim,
    }
    return Left({**good, **changes})


def moved(name: str, change: Callable[[float], float]) -> dict[str, Any]:
    """The claim with all three numbers of a name changed."""
    keys = (name, f"{name}_low", f"{name}_high")
    return {**CLAIM, **{key: change(CLAIM[key]) for key in keys}}


WRONG_LEFT = [
    Mutant("eight bits", left(bytes=850), "8.5 bits a weight", 0),
    Mutant(
        "thoughtless", left(after={**AFTER, "right": [False] * N}), "less than half", 0
    ),
    Mutant("not claimed", left({}), "bits must be a number; got None", 0.3),
    Mutant("untouched", left({**CLAIM, "right": None}), "right must be", 0.3),
    Mutant("NaN", left({**CLAIM, "perplexity": math.nan}), "got nan", 0.3),
    Mutant("bytes", left({**CLAIM, "bits": 5.0 / 8}), "bytes a weight", 0.3),
    Mutant("other bits", left({**CLAIM, "bits": 4.0}), "not those", 0.3),
    Mutant("invented", left(moved("right", lambda x: x + 0.5)), "measured again", 0.3),
    Mutant("old minus new", left(moved("right", lambda x: -x)), "wrong sign", 0.3),
    Mutant("percent", left(moved("right", lambda x: 100 * x)), "is a share", 0.3),
    Mutant("a ratio", left(moved("perplexity", lambda x: 1 + x)), "beyond 1", 0.3),
    Mutant("one error", left(claim_of(1 / 1.96)), "times 1.96", 0.3),
    Mutant("twice as wide", left(claim_of(2.0)), "twice as far", 0.3),
    Mutant("one deviation", left(claim_of(N**0.5 / 1.96)), "standard deviation", 0.3),
    Mutant("no root", left(claim_of(N**0.5)), "root of the number of", 0.3),
    Mutant(
        "ends changed",
        left({**CLAIM, "right_low": CLAIM["right_high"], "right_high": -1.0}),
        "between low and high",
        earns=0.3,
    ),
    Mutant(
        "it reads nothing",
        left(after={**AFTER, "losses": [math.nan] * N}),
        "NaN",
        earns=0.3,
    ),
]
RIGHT_LEFT = [left(), left(claim_of(1.1)), left({**CLAIM, "bits": 5.02})]


EXERCISES = {
    "9.1": harness.Exercise(wrong=WRONG_GUESSES, right=[90, 0.5]),
    "9.2": harness.Exercise(
        wrong=WRONG_EVEN, right=[affine.symmetric_grid, even_by_loop, even_by_reshape]
    ),
    "9.3": harness.Exercise(
        wrong=WRONG_UNEVEN,
        right=[affine.asymmetric_grid, uneven_by_padding, uneven_by_loop],
    ),
    "9.4": harness.Exercise(
        wrong=WRONG_COLUMNS,
        right=[gptq.round_columns, columns_by_rows, columns_in_double],
    ),
    "9.5": harness.Exercise(
        wrong=WRONG_SCALES,
        right=[awq.search_scale, scales_by_min, scales_by_logarithms],
    ),
    "9.6": harness.Exercise(
        wrong=WRONG_TILES, right=[fp8.tile_scale, tiles_by_loop, tiles_by_pooling]
    ),
    "9.7": harness.Exercise(WRONG_LEFT, RIGHT_LEFT),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


def test_without_the_file_nothing_is_earned(tmp_path: Path) -> None:
    harness.refuse_without_file("9.7", tmp_path)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab09

    assert set(EXERCISES) == set(lab09.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("unflatten(", "amax(", "clamp(", "output_error(", ".round()", "F.pad")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
