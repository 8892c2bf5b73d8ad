"""Exercises 8.5 and 8.6: the two distances between what two models expect."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes
from sparrow.checks.lab07.small import compare_learning, some
from sparrow.checks.lab08.small import ATOL, scores, with_gradient
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.distill import soft
from sparrow.language import _

__all__ = ["CHECKS"]

USUAL, FLAT = "usual scores", "flattened by a temperature"
SURE, GRADIENT = "models that are very sure", "what learns from it"
Distance = Callable[..., Tensor]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One place and many, alike and far apart, three temperatures, half precision."""

    def case(
        name: str,
        group: str,
        *places: int,
        size: float = 1.0,
        temperature: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        arguments: dict[str, Plain] = {
            "teacher": scores(generator, *places, size=size).to(dtype),
            "student": scores(generator, *places, size=size).to(dtype),
            "temperature": temperature,
        }
        return with_gradient(name, group, arguments)

    found = [
        case("three places", USUAL, 3),
        case("two rows", USUAL, 2, 4),
        case("as many places as words", USUAL, 7),
        case("temperature 2", FLAT, 2, 3, temperature=2.0),
        case("temperature 0.5", FLAT, 4, temperature=0.5),
        case("far apart", SURE, 3, 3, size=200.0),
        case("half precision", SURE, 5, size=3.0, dtype=torch.bfloat16),
        case("who learns", GRADIENT, 3, 4, temperature=1.5),
    ]
    if hidden:
        found += [
            case("drawn 1", USUAL, some(generator, 2, 6), 3),
            case("drawn 2", FLAT, some(generator, 2, 6), temperature=3.0),
            case("drawn 3", SURE, some(generator, 2, 6), size=300.0),
            case("drawn 4", GRADIENT, 2, some(generator, 2, 6)),
        ]
    return found


def check_of(exercise: str, name: str) -> Check:
    """The check of one direction.

    Args:
        exercise: its number.
        name: the library's function.
    """

    def reference() -> Distance:
        found: Distance = getattr(soft, name)
        return found

    def expected(case: Case) -> Plain:
        """What the library computes, and its gradient."""
        return drivers.drive("gradient", reference(), case.inputs)

    def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
        """Values, and in their group gradients."""
        likely = causes(is_forward=name == "forward_kl")
        return compare_learning(
            case, wanted, actual, causes=likely, learning=GRADIENT, atol=ATOL
        )

    return Check(
        exercise=exercise,
        solution=f"sparrow.distill.soft:{name}",
        groups={USUAL: 0.35, FLAT: 0.2, SURE: 0.2, GRADIENT: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="gradient",
    )


def causes(*, is_forward: bool) -> Causes:
    """What each likely mistake computes."""

    def of(join: Callable[[Tensor, Tensor], Tensor]) -> Distance:
        """`join` gets log-probabilities: of the one that chooses, and of the other."""

        def mistake(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
            both = [
                (each.float() / temperature).log_softmax(-1)
                for each in (teacher, student)
            ]
            return join(*(both if is_forward else both[::-1]))

        return mistake

    def scaled(change: Callable[..., tuple[Any, Any]]) -> Distance:
        """The right distance of scores that `change` made of both and temperature."""
        distance = soft.forward_kl if is_forward else soft.reverse_kl

        def mistake(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
            return distance(*change(teacher.float(), student.float(), temperature))

        return mistake

    chooser = _("teacher") if is_forward else _("student")

    return [
        (
            _("This is the other direction: here the {who} chooses.", who=chooser),
            of(lambda p, q: (q.exp() * (q - p)).sum(-1)),
        ),
        (
            _("The sign is wrong: a distance is not negative."),
            of(lambda p, q: (p.exp() * (q - p)).sum(-1)),
        ),
        (
            _("Every word counts alike here: weigh each by its probability."),
            of(lambda p, q: (p - q).sum(-1)),
        ),
        (
            _("Sum over the words: this is a mean over them."),
            of(lambda p, q: (p.exp() * (p - q)).mean(-1)),
        ),
        (
            _("This is not summed over the words yet."),
            of(lambda p, q: p.exp() * (p - q)),
        ),
        (
            _("This is one number: each place keeps its own."),
            of(lambda p, q: (p.exp() * (p - q)).sum(-1).mean()),
        ),
        (
            _("The entropy is missing: it is not 0 where both agree."),
            of(lambda p, q: -(p.exp() * q).sum(-1)),
        ),
        (
            _("The weights are probabilities, not their logarithms."),
            of(lambda p, q: (p * (p - q)).sum(-1)),
        ),
        (
            _("The difference is one of logarithms, not of probabilities."),
            of(lambda p, q: (p.exp() * (p.exp() - q.exp())).sum(-1)),
        ),
        (
            _("The temperature is not used."),
            scaled(lambda teacher, student, _t: (teacher, student)),
        ),
        (
            _("Divide by the temperature: this multiplies."),
            scaled(lambda teacher, student, t: (teacher * t, student * t)),
        ),
        (
            _("Only the teacher is flattened: both need the temperature."),
            scaled(lambda teacher, student, t: (teacher / t, student)),
        ),
        (
            _("Only the student is flattened: both need the temperature."),
            scaled(lambda teacher, student, t: (teacher, student / t)),
        ),
    ]


CHECKS = {
    "8.5": check_of("8.5", "forward_kl"),
    "8.6": check_of("8.6", "reverse_kl"),
}
