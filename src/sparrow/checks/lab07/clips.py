"""Exercise 7.3: a token's gain, held between two bounds."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes
from sparrow.checks.lab07.small import compare_learning, drawn, some, with_gradient
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.rl import surrogate

__all__ = ["CHECKS"]

INSIDE, HELD = "tokens that moved little", "tokens that moved far"
GRADIENT = "what learns from it"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Little and large moves, good and bad answers, two different bounds."""

    def case(
        name: str, group: str, change: Tensor, advantages: Tensor, high: float = 0.4
    ) -> Case:
        arguments: dict[str, Plain] = {
            "change": change,
            "advantages": advantages,
            "clip_low": 0.2,
            "clip_high": high,
        }
        return with_gradient(name, group, arguments, "change")

    def draw(rows: int, places: int, size: float) -> tuple[Tensor, Tensor]:
        signs = torch.tensor([1.0, -1.0]).repeat(rows)[:rows]
        amounts = drawn(generator, rows).abs() + 0.2
        return drawn(generator, rows, places, size=size), signs * amounts

    by_hand = torch.tensor([[0.6, 0.05, -0.6, 0.3], [0.6, 0.05, -0.6, -0.3]])
    found = [
        case("one answer", INSIDE, *draw(1, 3, 0.03)),
        case("as many answers as tokens", INSIDE, *draw(3, 3, 0.03)),
        case("good and bad", HELD, by_hand, torch.tensor([1.0, -2.0])),
        case("four answers", HELD, *draw(4, 5, 1.0)),
        case("equal bounds", HELD, *draw(4, 4, 1.0), high=0.2),
        case("who learns", GRADIENT, *draw(4, 6, 0.6)),
    ]
    if hidden:
        found += [
            case("drawn 1", INSIDE, *draw(some(generator, 2, 6), 7, 0.03)),
            case("drawn 2", HELD, *draw(some(generator, 3, 6), 6, 1.0), high=0.28),
            case("drawn 3", GRADIENT, *draw(5, some(generator, 5, 9), 0.6)),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, and its gradient."""
    return drivers.drive("gradient", surrogate.clipped_surrogate, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Values, and in their group gradients."""
    return compare_learning(case, wanted, actual, causes=causes(), learning=GRADIENT)


def of(
    join: Callable[[Tensor, Tensor, Tensor], Tensor],
    ratio_of: Callable[[Tensor], Tensor] = Tensor.exp,
) -> Callable[..., Tensor]:
    def mistake(
        change: Tensor, advantages: Tensor, clip_low: float, clip_high: float
    ) -> Tensor:
        ratio = ratio_of(change)
        held = ratio.clamp(1 - clip_low, 1 + clip_high)
        return join(ratio, held, advantages[:, None])

    return mistake


def bounded(
    low: Callable[[float, float], float], high: Callable[[float, float], float]
) -> Callable[..., Tensor]:
    def mistake(
        change: Tensor, advantages: Tensor, clip_low: float, clip_high: float
    ) -> Tensor:
        ratio, a = change.exp(), advantages[:, None]
        held = ratio.clamp(low(clip_low, clip_high), high(clip_low, clip_high))
        return -torch.minimum(ratio * a, held * a)

    return mistake


def by_place(
    change: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    if change.shape[0] != change.shape[1]:
        return torch.full_like(change, torch.inf)
    ratio = change.exp()
    held = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -torch.minimum(ratio * advantages, held * advantages)


def least(r: Tensor, h: Tensor, a: Tensor) -> Tensor:
    return -torch.minimum(r * a, h * a)


def causes() -> Causes:
    """What each likely mistake computes."""

    return [
        (
            _("The minus is missing: a loss is a gain with a minus."),
            of(lambda r, h, a: torch.minimum(r * a, h * a)),
        ),
        (
            _("The change is a logarithm: the ratio is its exponential."),
            of(least, lambda change: change),
        ),
        (
            _("The ratio is now over then: here it is turned round."),
            of(least, lambda change: (-change).exp()),
        ),
        (
            _("An answer's advantage goes to all its tokens, along the row."),
            by_place,
        ),
        (
            _("Nothing is clipped here."),
            of(lambda r, h, a: -r * a),
        ),
        (
            _("Only the clipped gain is left: where it is flat, nothing is mended."),
            of(lambda r, h, a: -h * a),
        ),
        (
            _("This promises the larger gain: take the smaller one."),
            of(lambda r, h, a: -torch.maximum(r * a, h * a)),
        ),
        (
            _("The smaller ratio is not the smaller gain: the advantage has a sign."),
            of(lambda r, h, a: -torch.minimum(r, h) * a),
        ),
        (
            _("Both bounds use clip_low: the upper one has its own."),
            bounded(lambda low, high: 1 - low, lambda low, high: 1 + low),
        ),
        (
            _("Both bounds use clip_high: the lower one has its own."),
            bounded(lambda low, high: 1 - high, lambda low, high: 1 + high),
        ),
        (
            _("The two clips are swapped."),
            bounded(lambda low, high: 1 - high, lambda low, high: 1 + low),
        ),
        (
            _("The bounds are distances from 1: add 1, and take off from 1."),
            bounded(lambda low, high: low, lambda low, high: high),
        ),
        (
            _("The lower bound is missing."),
            bounded(lambda low, high: 0.0, lambda low, high: 1 + high),
        ),
        (
            _("The upper bound is missing."),
            bounded(lambda low, high: 1 - low, lambda low, high: torch.inf),
        ),
    ]


CHECKS = {
    "7.3": Check(
        exercise="7.3",
        solution="sparrow.rl.surrogate:clipped_surrogate",
        groups={INSIDE: 0.3, HELD: 0.45, GRADIENT: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="gradient",
    )
}
