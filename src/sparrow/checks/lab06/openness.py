"""Exercise 6.6: how open a choice is."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.train import examples

__all__ = ["CHECKS"]

ONE, MANY, EXTREME = "one choice", "many choices", "large numbers, few bits"


def choices(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Open, sure and odd choices; several shapes; scores that overflow."""

    def drawn(*shape: int, size: float = 2.0) -> Tensor:
        return torch.randn(*shape, generator=generator) * size

    found = {
        ("an open choice", ONE): torch.zeros(4),
        ("a sure choice", ONE): torch.tensor([0.0, 30.0, 0.0]),
        ("two of three", ONE): torch.tensor([1.0, 1.0, -30.0]),
        ("five rows", MANY): drawn(5, 7),
        ("as many rows as tokens", MANY): drawn(6, 6),
        ("rows of places", MANY): drawn(2, 3, 5),
        ("large scores", EXTREME): drawn(3, 8, size=200.0) + 500,
        ("half precision", EXTREME): drawn(4, 9).to(torch.bfloat16),
    }
    if hidden:
        found |= {
            ("drawn 1", ONE): drawn(11),
            ("drawn 2", MANY): drawn(4, 4, size=4.0),
            ("drawn 3", EXTREME): drawn(4, 4, size=300.0) - 400,
        }
    return [
        Case(name, group, {"logits": logits}) for (name, group), logits in found.items()
    ]


def openness(case: Case) -> Plain:
    """What the library computes."""
    return examples.entropy(**case.inputs)  # type: ignore[arg-type]


def compare_openness(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same numbers, one for each choice."""
    assert isinstance(wanted, Tensor)
    if isinstance(actual, Tensor) and actual.dtype == torch.bfloat16:
        return Verdict(
            False, _("It is computed in bfloat16: turn the scores into float32 first.")
        )
    return compare_close(
        actual, wanted, rtol=1e-4, atol=1e-5, causes=slips(), inputs=case.inputs
    )


def slips() -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """What each likely mistake computes."""

    def logprob(logits: Tensor, dim: int = -1) -> Tensor:
        return logits.float().log_softmax(dim=dim)

    def products(logits: Tensor, dim: int = -1) -> Tensor:
        return logprob(logits, dim).exp() * logprob(logits, dim)

    return [
        (
            _("It is below zero: a surprise is minus a log-probability."),
            lambda logits: products(logits).sum(-1),
        ),
        (
            _("This is in bits: take the natural logarithm."),
            lambda logits: -products(logits).sum(-1) / torch.tensor(2.0).log(),
        ),
        (
            _("Each surprise counts as often as it happens: weigh, then sum."),
            lambda logits: -logprob(logits).mean(-1),
        ),
        (
            _("Each surprise counts as often as it happens: weigh it."),
            lambda logits: -logprob(logits).sum(-1),
        ),
        (
            _("It is a sum over the tokens, weighted already: no mean."),
            lambda logits: -products(logits).mean(-1),
        ),
        (
            _("This is the surprise of the likeliest token alone."),
            lambda logits: -logprob(logits).amax(-1),
        ),
        (
            _("The probabilities of one choice sum to 1: over the last axis."),
            lambda logits: -products(logits, 0).sum(-1),
        ),
        (
            _("The sum goes over the last axis: one number for each choice."),
            lambda logits: -products(logits).sum(0),
        ),
        (
            _("One number for each choice is asked for, not one for all."),
            lambda logits: -products(logits).sum(-1).mean(),
        ),
        (
            _("These scores are no probabilities yet: softmax first."),
            lambda logits: -(logits.float() * logits.float().abs().log()).sum(-1),
        ),
    ]


CHECKS = {
    "6.6": Check(
        exercise="6.6",
        solution="sparrow.train.examples:entropy",
        groups={ONE: 0.4, MANY: 0.4, EXTREME: 0.2},
        cases=choices,
        expected=openness,
        compare=compare_openness,
    ),
}
