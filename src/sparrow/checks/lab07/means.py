"""Exercise 7.5: six losses, three ways to share: by answer, by token, by place."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.lab07.small import RTOL, drawn, mask_of, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.rl import shares

__all__ = ["CHECKS"]

ANSWERS, TOKENS = "answers alike (grpo, gspo)", "tokens alike (bnpo, dapo, cispo)"
PLACES, PART = "places alike (dr_grpo)", "a part of a batch"
Sums = dict[str, Any]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Answers of every length, one without a token, and parts of larger batches."""

    def case(
        name: str, group: str, kind: str, lengths: list[int], **whole: int
    ) -> Case:
        places = max(lengths) + 2
        inputs: dict[str, Plain] = {
            "values": drawn(generator, len(lengths), places) + 0.5,
            "mask": mask_of(lengths, places),
            "kind": kind,
        }
        if whole:
            inputs["whole"] = dict(whole)
        return Case(name, group, inputs)

    large = {"sequences": 12, "tokens": 61, "length": 16}
    found = [
        case("grpo", ANSWERS, "grpo", [3, 1, 5]),
        case("gspo", ANSWERS, "gspo", [2, 6]),
        case("an answer without a token", ANSWERS, "grpo", [4, 0, 2]),
        case("dapo", TOKENS, "dapo", [3, 1, 5]),
        case("bnpo", TOKENS, "bnpo", [2, 6]),
        case("cispo", TOKENS, "cispo", [1, 0, 4]),
        case("no token at all", TOKENS, "dapo", [0, 0]),
        case("dr_grpo", PLACES, "dr_grpo", [3, 1, 5]),
        case("a part, grpo", PART, "grpo", [3, 1], **large),
        case("a part, dapo", PART, "dapo", [3, 1], **large),
        case("a part, dr_grpo", PART, "dr_grpo", [3, 1], **large),
    ]
    if hidden:
        lengths = [some(generator, 1, 9) for _each in range(4)]
        found += [
            case(f"drawn {kind}", ANSWERS, kind, lengths) for kind in ("grpo", "gspo")
        ]
        found += [
            case(f"drawn {kind}", TOKENS, kind, lengths)
            for kind in ("bnpo", "dapo", "cispo")
        ]
        whole = {"sequences": 9, "tokens": 100 + some(generator, 0, 9), "length": 30}
        found.append(case("drawn dr_grpo", PLACES, "dr_grpo", lengths))
        found += [
            case(f"drawn part, {kind}", PART, kind, lengths, **whole)
            for kind in shares.KINDS
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return drivers.drive("shared", shares.aggregate, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """One number; if it is wrong: shared among whom?"""
    return compare_close(
        actual,
        wanted,
        rtol=RTOL,
        atol=1e-6,
        causes=causes(str(case.inputs["kind"])),
        inputs=case.inputs,
    )


def of(share: Callable[[Sums], Tensor | float]) -> Callable[..., Tensor]:
    """A mistake that shares the sums of a batch in its own way."""

    def mistake(
        values: Tensor,
        mask: Tensor,
        kind: str,
        whole: dict[str, int] | None = None,
    ) -> Tensor:
        kept, lengths = values * mask, mask.sum(1)
        own = {
            "sequences": len(mask),
            "tokens": max(int(mask.sum()), 1),
            "length": mask.shape[1],
        }
        sums: Sums = {
            "values": values,
            "kind": kind,
            "all": kept.sum(),
            "rows": kept.sum(1),
            "lengths": lengths,
            "means": kept.sum(1) / lengths.clamp(min=1),
            "own": own,
            **own,
            **(whole or {}),
        }
        return torch.as_tensor(share(sums))

    return mistake


def right(s: Sums) -> Tensor:
    """What is asked for."""
    if s["kind"] in ("grpo", "gspo"):
        return s["means"].sum() / s["sequences"]
    if s["kind"] == "dr_grpo":
        return s["all"] / (s["sequences"] * s["length"])
    return s["all"] / s["tokens"]


def causes(kind: str) -> Causes:
    """What each likely mistake computes, if this kind is asked for."""

    general = [
        (
            _("What stands after the end of an answer must not count: use the mask."),
            of(lambda s: s["values"].mean()),
        ),
        (
            _("The whole batch is given: share among its numbers, not your part's."),
            of(lambda s: right({**s, **s["own"]})),
        ),
        (
            _("This is a sum per answer: the length is missing."),
            of(lambda s: s["all"] / s["sequences"]),
        ),
        (_("This is the sum: divide it."), of(lambda s: s["all"])),
    ]
    by_answer = of(lambda s: s["means"].sum() / s["sequences"])
    by_token = of(lambda s: s["all"] / s["tokens"])
    by_place = of(lambda s: s["all"] / (s["sequences"] * s["length"]))
    if kind in ("grpo", "gspo"):
        return [
            *general,
            (_("Here all answers weigh the same: first the mean of each."), by_token),
            (_("This divides by all places, as dr_grpo does."), by_place),
            (
                _("An answer without a token brings 0, and still counts as an answer."),
                of(lambda s: s["means"].sum() / max(int((s["lengths"] > 0).sum()), 1)),
            ),
        ]
    if kind == "dr_grpo":
        return [
            *general,
            (
                _("Divide by places, answers times length: this divides by tokens."),
                by_token,
            ),
            (
                _("This is a mean of means, as in grpo: divide by all places."),
                by_answer,
            ),
        ]
    return [
        *general,
        (
            _("Here all tokens weigh the same: divide by the number of tokens."),
            by_answer,
        ),
        (_("This divides by all places, as dr_grpo does."), by_place),
    ]


CHECKS = {
    "7.5": Check(
        exercise="7.5",
        solution="sparrow.rl.shares:aggregate",
        groups={ANSWERS: 0.3, TOKENS: 0.25, PLACES: 0.2, PART: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="shared",
    )
}
