"""Exercise 2.6: the same scores from the other side, and no key rebuilt."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes, difference_in_kind
from sparrow.checks.lab02.drawn import compare_tensors, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import mla

__all__ = ["CHECKS"]

CONTENT, POSITION = "what tokens mean", "where tokens stand"
WHOLE, WORK = "both, at several sizes", "no key is rebuilt"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Only content, only position, both, half precision, and a long past."""

    def case(
        name: str, group: str, *sizes: int, dtype: torch.dtype = torch.float32
    ) -> Case:
        b, q, k, h, n, r, c = sizes
        inputs: dict[str, Plain] = {
            "q_nope": drawn(generator, b, q, h, n, dtype=dtype),
            "q_rope": drawn(generator, b, q, h, r, dtype=dtype),
            "latent": drawn(generator, b, k, c, dtype=dtype),
            "k_rope": drawn(generator, b, k, r, dtype=dtype),
            "w_up_key": drawn(generator, h, n, c, size=c**-0.5, dtype=dtype),
            "scale": (n + r) ** -0.5 * 1.25,  # with YaRN it is not 1/√(N + R)
        }
        if group == CONTENT:
            inputs["q_rope"] = torch.zeros(b, q, h, r, dtype=dtype)
        if group == POSITION:
            inputs["q_nope"] = torch.zeros(b, q, h, n, dtype=dtype)
        return Case(name, group, inputs)

    found = [
        case("content", CONTENT, 2, 3, 5, 4, 6, 2, 8),
        # N = C: a transposed matrix fits, and must still be refused.
        case("square matrices", CONTENT, 1, 2, 3, 2, 4, 2, 4),
        case("position", POSITION, 2, 3, 5, 4, 6, 4, 8),
        case("one of everything", WHOLE, 1, 1, 1, 1, 1, 2, 1),
        case("heads = queries = keys", WHOLE, 2, 3, 3, 3, 5, 2, 4),
        case("bf16", WHOLE, 1, 1, 7, 2, 4, 2, 4, dtype=torch.bfloat16),
        case("one query, long past", WORK, 1, 1, 256, 4, 64, 4, 8),
    ]
    if hidden:
        found += [
            case("drawn 1", CONTENT, 3, 1, 4, 5, 4, 2, 4),
            case("drawn 2", POSITION, 1, 4, 4, 3, 2, 6, 5),
            case("drawn 3", WHOLE, 2, 2, 6, 3, 7, 4, 9),
            case("drawn 4", WORK, 2, 1, 300, 3, 48, 4, 6),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, and how many numbers it makes."""
    return drivers.drive("counted", mla.absorbed_scores, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The scores; and for a long past, also that no keys were made."""
    if message := difference_in_kind(actual, wanted):
        return Verdict(False, message.removeprefix("result: "))
    assert isinstance(wanted, dict)
    assert isinstance(actual, dict)
    right, got = wanted["result"], actual["result"]
    assert isinstance(right, Tensor)
    verdict = compare_tensors(got, right, causes(), case.inputs)
    if not verdict.passed or case.group != WORK:
        return verdict
    made, keys = actual["made"], keys_of(case)
    assert isinstance(made, int)
    if made < keys:
        return Verdict(True)
    return Verdict(
        False,
        _(
            "The scores are right, but {made} numbers were made on the way, and all "
            "keys together have {keys}: are they rebuilt? Carry the query instead.",
            made=f"{made:,}",
            keys=f"{keys:,}",
        ),
    )


def keys_of(case: Case) -> int:
    """How many numbers the keys of all heads and past tokens have."""
    latent, matrix = case.inputs["latent"], case.inputs["w_up_key"]
    assert isinstance(latent, Tensor)
    assert isinstance(matrix, Tensor)
    sequences, past, _features = latent.shape
    heads, features, _latent = matrix.shape
    return sequences * past * heads * features


def causes() -> Causes:
    """What each likely mistake computes."""

    def of(change: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """`change` gets content, position and scale."""

        def mistake(**given: Any) -> Tensor:
            carried = torch.einsum("bqhn,hnc->bqhc", given["q_nope"], given["w_up_key"])
            content = torch.einsum("bqhc,bkc->bhqk", carried, given["latent"])
            position = torch.einsum("bqhr,bkr->bhqk", given["q_rope"], given["k_rope"])
            return change(content, position, given["scale"])

        return mistake

    def transposed(**given: Any) -> Tensor:
        matrix = given["w_up_key"].transpose(1, 2)
        if matrix.shape[1] != matrix.shape[2]:
            return torch.zeros(0)
        return mla.absorbed_scores(**{**given, "w_up_key": matrix})

    def one_head(**given: Any) -> Tensor:
        matrix = given["w_up_key"][:1].expand_as(given["w_up_key"])
        return mla.absorbed_scores(**{**given, "w_up_key": matrix})

    def own_scale(**given: Any) -> Tensor:
        features = given["q_nope"].shape[-1] + given["q_rope"].shape[-1]
        return mla.absorbed_scores(**{**given, "scale": features**-0.5})

    def scale_of_content(**given: Any) -> Tensor:
        features = given["q_nope"].shape[-1]
        return mla.absorbed_scores(**{**given, "scale": features**-0.5})

    return [
        (_("The scale is missing."), of(lambda c, p, s: c + p)),
        (_("The scale is used twice."), of(lambda c, p, s: (c + p) * s * s)),
        (
            _("You divide by the scale: multiply by it."),
            of(lambda c, p, s: (c + p) / s),
        ),
        (_("The score of the position is missing."), of(lambda c, p, s: c * s)),
        (_("The score of the content is missing."), of(lambda c, p, s: p * s)),
        (
            _("Only the content is scaled: add first, then scale."),
            of(lambda c, p, s: c * s + p),
        ),
        (
            _("Only the position is scaled: add first, then scale."),
            of(lambda c, p, s: c + p * s),
        ),
        (
            _("The two scores are multiplied: add them."),
            of(lambda c, p, s: c * p * s),
        ),
        (
            _("The position is taken off: add it."),
            of(lambda c, p, s: (c - p) * s),
        ),
        (
            _("w_up_key is transposed: which of its axes does the query meet?"),
            transposed,
        ),
        (_("Every head has its own matrix: you use the first for all."), one_head),
        (
            _("Use the scale that is given: with long texts it is not 1/√(N + R)."),
            own_scale,
        ),
        (
            _("Use the scale that is given: you take one from N alone."),
            scale_of_content,
        ),
        (
            _("These are shares that sum to 1: the softmax comes later."),
            of(lambda c, p, s: ((c + p) * s).softmax(dim=-1)),
        ),
    ]


CHECKS = {
    "2.6": Check(
        exercise="2.6",
        solution="sparrow.model.mla:absorbed_scores",
        groups={CONTENT: 0.35, POSITION: 0.15, WHOLE: 0.3, WORK: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="counted",
    )
}
