"""Exercise 7.4: the distance to a reference, never negative."""

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes
from sparrow.checks.lab07.small import compare_learning, drawn, some, with_gradient
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.rl import surrogate

__all__ = ["CHECKS"]

NEAR, FAR, GRADIENT = "near the reference", "far from it", "what learns from it"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """The same, nearly the same, and far apart on both sides."""

    def case(name: str, group: str, rows: int, places: int, size: float) -> Case:
        now = -drawn(generator, rows, places).abs()
        arguments: dict[str, Plain] = {
            "logprobs": now,
            "ref_logprobs": now + drawn(generator, rows, places, size=size),
        }
        return with_gradient(name, group, arguments, "logprobs")

    found = [
        case("the same", NEAR, 1, 3, 0.0),
        case("nearly the same", NEAR, 2, 4, 0.1),
        case("one token", FAR, 1, 1, 1.5),
        case("four answers", FAR, 4, 5, 1.5),
        case("who learns", GRADIENT, 3, 4, 1.0),
    ]
    if hidden:
        found += [
            case("drawn 1", NEAR, some(generator, 1, 4), 6, 0.1),
            case("drawn 2", FAR, some(generator, 2, 5), 5, 1.5),
            case("drawn 3", GRADIENT, 3, some(generator, 3, 8), 1.0),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, and its gradient."""
    return drivers.drive("gradient", surrogate.k3_kl, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Values, and in their group gradients."""
    return compare_learning(case, wanted, actual, causes=causes(), learning=GRADIENT)


def causes() -> Causes:
    """What each likely mistake computes."""

    def away(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
        return ref_logprobs - logprobs

    return [
        (
            _("This is turned round: the ratio is the reference over the policy."),
            lambda logprobs, ref_logprobs: (
                (-away(logprobs, ref_logprobs)).exp() + away(logprobs, ref_logprobs) - 1
            ),
        ),
        (
            _("This is the plain difference of logarithms: it can be negative."),
            lambda logprobs, ref_logprobs: -away(logprobs, ref_logprobs),
        ),
        (
            _("The plain difference can be negative, and here its sign is wrong, too."),
            away,
        ),
        (
            _("This is half the square of the difference: k2, not k3."),
            lambda logprobs, ref_logprobs: away(logprobs, ref_logprobs) ** 2 / 2,
        ),
        (
            _("It is not 0 where both agree: the 1 is missing."),
            lambda logprobs, ref_logprobs: (
                away(logprobs, ref_logprobs).exp() - away(logprobs, ref_logprobs)
            ),
        ),
        (
            _("The logarithm of the ratio is missing."),
            lambda logprobs, ref_logprobs: away(logprobs, ref_logprobs).exp() - 1,
        ),
        (
            _("The logarithm is added: take it off."),
            lambda logprobs, ref_logprobs: (
                away(logprobs, ref_logprobs).exp() + away(logprobs, ref_logprobs) - 1
            ),
        ),
        (
            _("A distance with a sign cut off is another distance: no abs is needed."),
            lambda logprobs, ref_logprobs: away(logprobs, ref_logprobs).abs(),
        ),
        (
            _("This is one mean: each token keeps its own value."),
            lambda logprobs, ref_logprobs: surrogate.k3_kl(
                logprobs, ref_logprobs
            ).mean(),
        ),
    ]


CHECKS = {
    "7.4": Check(
        exercise="7.4",
        solution="sparrow.rl.surrogate:k3_kl",
        groups={NEAR: 0.3, FAR: 0.45, GRADIENT: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="gradient",
    )
}
