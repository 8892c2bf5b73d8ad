"""Exercise 3.5: how often an expert was chosen, times how well it was scored."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.lab03.small import RTOL, drawn, fields, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.config import Config
from sparrow.language import _
from sparrow.model import moe

__all__ = ["CHECKS"]

ONE, SEVERAL, GRADIENT = "one sequence", "several sequences", "what learns from it"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One sequence, several, even and lopsided scores, and the gradient."""

    def case(
        name: str, group: str, batch: int, tokens: int, experts: int, chosen: int
    ) -> Case:
        total = batch * tokens
        lean = drawn(generator, batch, 1, experts)  # each sequence has favourites
        scores = (lean + drawn(generator, batch, tokens, experts)).sigmoid()
        scores = scores.flatten(0, 1)
        best = scores.topk(chosen, dim=-1)
        inputs: dict[str, Plain] = {
            "routing": {
                "experts": best.indices,
                "weights": best.values,
                "scores": scores,
            },
            "batch": batch,
            "config": fields(experts, chosen),
        }
        assert len(scores) == total
        return Case(name, group, inputs)

    found = [
        case("six tokens", ONE, 1, 6, 4, 1),
        case("two of five", ONE, 1, 4, 5, 2),
        case("one token", ONE, 1, 1, 3, 2),
        case("three sequences", SEVERAL, 3, 5, 6, 2),
        case("as many tokens as experts", SEVERAL, 4, 4, 4, 2),
        case("gradient", GRADIENT, 2, 5, 4, 2),
    ]
    if hidden:
        found += [
            case("drawn 1", ONE, 1, some(generator, 5, 12), 7, 3),
            case("drawn 2", SEVERAL, some(generator, 2, 5), 6, 5, 2),
            case("drawn 3", GRADIENT, 3, some(generator, 4, 8), 6, 3),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, and its gradient by the scores."""
    from sparrow.checks import drivers

    return drivers.drive("balanced", moe.sequence_balance_loss, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The loss; in its own group also the gradient."""
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict):
        return Verdict(False, _("The result is no tensor with one number."))
    verdict = compare_close(
        actual["loss"],
        wanted["loss"],
        rtol=RTOL,
        atol=1e-6,
        causes=causes(),
        inputs=case.inputs,
    )
    if not verdict.passed or case.group != GRADIENT:
        return verdict
    if actual["gradient"] is None:
        return Verdict(
            False,
            _("Nothing can learn from this loss: keep the scores as tensors, with P."),
        )
    if compare_close(
        actual["gradient"], wanted["gradient"], rtol=1e-3, atol=1e-6
    ).passed:
        return verdict
    return Verdict(False, _("The loss is right, but its gradient is not."))


def _of(change: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A mistake; `change` gets chosen [B, T, E], scores [B, T, E], E and A."""

    def mistake(
        routing: dict[str, Tensor], batch: int, config: dict[str, Any]
    ) -> Tensor:
        sizes = Config(**config)
        total, chosen = sizes.n_routed_experts, sizes.num_experts_per_tok
        picked = F.one_hot(routing["experts"], total).sum(1).float()
        per_row = (batch, -1)
        return change(
            picked.unflatten(0, per_row),
            routing["scores"].unflatten(0, per_row),
            total,
            chosen,
        )

    return mistake


def _normed(s: Tensor) -> Tensor:
    return s / s.sum(-1, keepdim=True)


def _right(c: Tensor, s: Tensor, e: int, a: int) -> Tensor:
    return (c.mean(1) * e / a * _normed(s).mean(1)).sum(-1)


def causes() -> Causes:
    """What each likely mistake computes."""
    return [
        (
            _("One mean over all tokens: each sequence has its own f and P."),
            _of(
                lambda c, s, e, a: (
                    c.mean((0, 1)) * e / a * _normed(s).mean((0, 1))
                ).sum()
            ),
        ),
        (
            _("The sequences are summed: take their mean."),
            _of(lambda c, s, e, a: _right(c, s, e, a).sum()),
        ),
        (
            _("Divide f by the number of chosen experts: 1 means a fair share."),
            _of(lambda c, s, e, a: _right(c, s, e, a).mean() * a),
        ),
        (
            _(
                "The number of experts is missing in f, or the products are averaged "
                "where they must be summed."
            ),
            _of(lambda c, s, e, a: _right(c, s, e, a).mean() / e),
        ),
        (
            _("f is the plain share of tokens: 1 must mean a fair share."),
            _of(lambda c, s, e, a: _right(c, s, e, a).mean() * a / e),
        ),
        (
            _("f counts tokens: divide by the length of the sequence."),
            _of(lambda c, s, e, a: _right(c, s, e, a).mean() * c.shape[1]),
        ),
        (
            _("The scores of a token are not normalised: let them sum to 1 first."),
            _of(lambda c, s, e, a: (c.mean(1) * e / a * s.mean(1)).sum(-1).mean()),
        ),
        (
            _("Normalise each token's scores before the mean, not after it."),
            _of(
                lambda c, s, e, a: (
                    (c.mean(1) * e / a * _normed(s.mean(1))).sum(-1).mean()
                )
            ),
        ),
        (
            _("P uses only the chosen scores: all scores count, chosen or not."),
            _of(
                lambda c, s, e, a: (
                    (c.mean(1) * e / a * (_normed(s) * c).mean(1)).sum(-1).mean()
                )
            ),
        ),
        (
            _("Multiply the two means, f and P: not token by token."),
            _of(lambda c, s, e, a: (c * e / a * _normed(s)).sum(-1).mean()),
        ),
        (
            _("This is a softmax over the scores: divide each by their sum instead."),
            _of(
                lambda c, s, e, a: (
                    (c.mean(1) * e / a * s.softmax(-1).mean(1)).sum(-1).mean()
                )
            ),
        ),
        (
            _("These are losses of several sequences: their mean is one number."),
            _of(_right),
        ),
    ]


CHECKS = {
    "3.5": Check(
        exercise="3.5",
        solution="sparrow.model.moe:sequence_balance_loss",
        groups={ONE: 0.4, SEVERAL: 0.4, GRADIENT: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="balanced",
    )
}
