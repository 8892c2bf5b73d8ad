"""Exercise 8.4: how little the student expected what the teacher wrote."""

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes
from sparrow.checks.lab07.small import compare_learning, some
from sparrow.checks.lab08.small import ATOL, WORDS, scores, with_gradient
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.distill import soft
from sparrow.language import _

__all__ = ["CHECKS"]

USUAL, SURE = "usual scores", "a student that is very sure"
GRADIENT = "what learns from it"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One place, rows of places, very sure students, half precision."""

    def case(
        name: str,
        group: str,
        *places: int,
        size: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Case:
        chosen = torch.randint(WORDS, places, generator=generator)
        student = scores(generator, *places, size=size).to(dtype)
        return with_gradient(name, group, {"student": student, "chosen": chosen})

    found = [
        case("three places", USUAL, 3),
        case("two rows", USUAL, 2, 4),
        case("as many places as words", USUAL, WORDS),
        case("far apart", SURE, 3, 3, size=200.0),
        case("half precision", SURE, 5, size=3.0, dtype=torch.bfloat16),
        case("who learns", GRADIENT, 3, 4),
    ]
    if hidden:
        found += [
            case("drawn 1", USUAL, some(generator, 2, 6), 3),
            case("drawn 2", SURE, some(generator, 2, 6), size=300.0),
            case("drawn 3", GRADIENT, 2, some(generator, 2, 6)),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, and its gradient."""
    return drivers.drive("gradient", soft.surprise, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Values, and in their group gradients."""
    return compare_learning(
        case, wanted, actual, causes=causes(), learning=GRADIENT, atol=ATOL
    )


def picked(values: Tensor, chosen: Tensor) -> Tensor:
    """The value of the chosen word at each place."""
    return values.gather(-1, chosen[..., None])[..., 0]


def causes() -> Causes:
    """What each likely mistake computes."""

    def over_places(student: Tensor, chosen: Tensor) -> Tensor:
        return -picked(student.float().log_softmax(dim=0), chosen)

    return [
        (
            _("The minus is missing: the logarithm of a probability is below 0."),
            lambda student, chosen: picked(student.float().log_softmax(-1), chosen),
        ),
        (
            _("These are scores: make log-probabilities of them."),
            lambda student, chosen: -picked(student.float(), chosen),
        ),
        (
            _("These are probabilities: take their logarithm."),
            lambda student, chosen: -picked(student.float().softmax(-1), chosen),
        ),
        (
            _("This is what is not expected: 1 minus a probability, and no surprise."),
            lambda student, chosen: 1 - picked(student.float().softmax(-1), chosen),
        ),
        (_("The words stand along the last axis."), over_places),
        (
            _("This is the student's own likeliest word: take the teacher's."),
            lambda student, chosen: -student.float().log_softmax(-1).amax(-1),
        ),
        (
            _("This is one number: each place keeps its own."),
            lambda student, chosen: soft.surprise(student, chosen).mean(),
        ),
        (
            _("This is one number: each place keeps its own."),
            lambda student, chosen: soft.surprise(student, chosen).sum(),
        ),
        (
            _("Bits are not nats: the logarithm is the natural one."),
            lambda student, chosen: (
                soft.surprise(student, chosen) / torch.tensor(2.0).log()
            ),
        ),
    ]


CHECKS = {
    "8.4": Check(
        exercise="8.4",
        solution="sparrow.distill.soft:surprise",
        groups={USUAL: 0.45, SURE: 0.3, GRADIENT: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="gradient",
    )
}
