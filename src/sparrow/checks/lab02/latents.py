"""Exercise 2.3: split one projection into a latent and a key, and norm only one."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.checks.compare import difference_in_kind
from sparrow.checks.lab02.drawn import compare_tensors, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import mla, norm

__all__ = ["CHECKS"]

LATENT, KEY = "the latent", "the shared key"
PART = {LATENT: 0, KEY: 1}
Pair = tuple[Tensor, Tensor]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """B, T, D, C and R of several models, one of each, and a square projection."""
    sizes = {
        "a small layer": (2, 3, 10, 6, 4),
        "one token": (1, 1, 4, 1, 2),
        "as many out as in": (1, 3, 8, 6, 2),
        "latent and key of equal size": (2, 2, 9, 4, 4),
    }
    if hidden:
        sizes |= {"drawn 1": (3, 5, 12, 7, 2), "drawn 2": (1, 9, 6, 2, 6)}
    found = []
    for name, (batch, tokens, width, latent, rotated) in sizes.items():
        inputs: dict[str, Plain] = {
            "hidden": drawn(generator, batch, tokens, width),
            "w_down": drawn(generator, latent + rotated, width, size=width**-0.5),
            "norm_weight": 1 + drawn(generator, latent, size=0.3),
            "kv_lora_rank": latent,
        }
        found += [Case(name, group, inputs) for group in (LATENT, KEY)]
    return found


def expected(case: Case) -> Plain:
    """What the library computes, as a list of two."""
    return list(mla.compress(**case.inputs))  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Judge the part that this group is about; the other one has a group too."""
    assert isinstance(wanted, list)
    if not isinstance(actual, list) or len(actual) != 2:
        if not isinstance(actual, Tensor):
            return Verdict(False, difference_in_kind(actual, wanted))
        return Verdict(
            False,
            _("Return two tensors, with a comma between: the latent, then k_rope."),
        )
    index = PART[case.group]
    right = wanted[index]
    assert isinstance(right, Tensor)
    mistakes: list[tuple[str, Callable[..., Any]]] = [
        (message, lambda mistake=mistake, **given: mistake(**given)[index])
        for message, mistake in pairs()
    ]
    sizes = {part.shape for part in wanted if isinstance(part, Tensor)}
    got = actual[index]
    if isinstance(got, Tensor) and got.shape != right.shape and len(sizes) == 2:
        other = wanted[1 - index]
        if isinstance(other, Tensor) and got.shape == other.shape:
            return Verdict(False, _("Latent and key are swapped: which comes first?"))
    return compare_tensors(got, right, mistakes, case.inputs)


def pairs() -> list[tuple[str, Callable[..., Pair]]]:
    """What each likely mistake computes."""

    def split(hidden: Tensor, w_down: Tensor, rank: int) -> Pair:
        joint = F.linear(hidden, w_down)
        return joint[..., :rank], joint[..., rank:]

    def normed(x: Tensor, weight: Tensor) -> Tensor:
        return norm.rms_norm(x, weight, mla.LATENT_EPS)

    def no_norm(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        return split(hidden, w_down, kv_lora_rank)

    def all_normed(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        joint = F.linear(hidden, w_down)
        joint = normed(joint, torch.ones(joint.shape[-1]))
        return joint[..., :kv_lora_rank] * norm_weight, joint[..., kv_lora_rank:]

    def key_normed(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        latent, key = split(hidden, w_down, kv_lora_rank)
        return normed(latent, norm_weight), normed(key, torch.ones(key.shape[-1]))

    def no_weight(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        latent, key = split(hidden, w_down, kv_lora_rank)
        return normed(latent, torch.ones_like(norm_weight)), key

    def key_first(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        joint = F.linear(hidden, w_down)
        rotated = joint.shape[-1] - kv_lora_rank
        return normed(joint[..., rotated:], norm_weight), joint[..., :rotated]

    def other_side(
        hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
    ) -> Pair:
        if w_down.shape[0] != w_down.shape[1]:
            return torch.zeros(0), torch.zeros(0)
        latent, key = split(hidden, w_down.T, kv_lora_rank)
        return normed(latent, norm_weight), key

    return [
        (_("The norm is missing: which of the two parts needs it?"), no_norm),
        (_("You normalise before the split: the key is in that mean too."), all_normed),
        (_("Only the latent is normalised: leave the key as it is."), key_normed),
        (_("The weight of the norm is not used."), no_weight),
        (_("Latent and key are swapped: which comes first?"), key_first),
        (_("w_down is used on the wrong side: it is [out, in]."), other_side),
    ]


CHECKS = {
    "2.3": Check(
        exercise="2.3",
        solution="sparrow.model.mla:compress",
        groups={LATENT: 0.6, KEY: 0.4},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
