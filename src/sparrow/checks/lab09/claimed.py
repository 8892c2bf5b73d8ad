"""Exercise 9.7: a model in few bits, and what is lost, with its interval."""

import math
import statistics
from collections.abc import Sequence

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import (
    is_number,
    nothing_expected,
    numbers_claimed,
    why_not_as_wide,
)
from sparrow.language import _, about

__all__ = ["CHECKS"]

FEW, CHANGES = "few bits that still think", "what is lost, with intervals"
FILE = "09_quantization.safetensors"
Z = 1.96
MOST_BITS = 6.0  # a weight: a fifth of what it was, and no more
HOLDS = 0.5  # of the answers that were right
WIDTH = 0.25  # what drawing the answers on another machine may change
SHIFT = {"perplexity": 0.002, "right": 0.02}
CHANGED = ("perplexity", "right")
NAMES = ("bits", *(f"{each}{end}" for each in CHANGED for end in ("", "_low", "_high")))


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at twice."""
    return [Case("the model", FEW, {}), Case("the claim", CHANGES, {})]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Nothing that the file says is believed where it can be measured."""
    if not isinstance(actual, dict) or not isinstance(actual.get("after"), dict):
        return Verdict(False, _("This is no answer of the driver."))
    bits = 8 * _one(actual["bytes"]) / _one(actual["weights"])
    if case.group == FEW:
        return compare_model(bits, actual)
    got = numbers_claimed(actual.get("claim"), NAMES)
    if isinstance(got, Verdict):
        return got
    if abs(got["bits"] - bits) > 0.01 * bits:
        message = _("The bits a weight are not those of this model.")
        if abs(8 * got["bits"] - bits) <= 0.01 * bits:
            message = _("These are bytes a weight: a byte has eight bits.")
        return Verdict(False, message)
    losses = _changes(actual, "losses")
    if not all(map(math.isfinite, losses)):
        return Verdict(False, _("The model reads nothing any more: its loss is NaN."))
    for name, changes in (
        ("perplexity", losses),
        ("right", _changes(actual, "right")),
    ):
        if message := why_no_interval(name, got, changes):
            return Verdict(False, about(name, message))
    return Verdict(True)


def compare_model(bits: float, actual: dict[str, Plain]) -> Verdict:
    """Is it small, and can it still think?"""
    if bits > MOST_BITS:
        return Verdict(
            False,
            _(
                "The model takes {bits:.1f} bits a weight: at most {most:g}.",
                bits=bits,
                most=MOST_BITS,
            ),
        )
    after, before = (sum(_list(actual, name, "right")) for name in ("after", "before"))
    if after < HOLDS * before:
        return Verdict(
            False, _("The model answers less than half of what was right before.")
        )
    return Verdict(True)


def why_no_interval(name: str, got: dict[str, float], changes: Sequence[float]) -> str:
    """What is wrong with a claimed change; empty: nothing."""
    curve = math.expm1 if name == "perplexity" else float
    mean, n = statistics.mean(changes), len(changes)
    half = Z * statistics.stdev(changes) / math.sqrt(n)
    claimed, play = got[name], SHIFT[name] + WIDTH * half
    if abs(claimed - curve(mean)) > play:
        if abs(claimed - curve(-mean)) <= play:
            return _("It has the wrong sign: the new model minus the old one.")
        if abs(claimed - 100 * curve(mean)) <= 100 * play:
            return _("It is a share, such as 0.02, and not 2 percent.")
        if abs(claimed - 1 - curve(mean)) <= play:
            return _("This is the ratio: the change is what is beyond 1.")
        return _("It is not that of this model, measured again here.")
    low, high = got[f"{name}_low"], got[f"{name}_high"]
    if not low - 1e-9 <= claimed <= high + 1e-9:
        return _("It does not lie between low and high.")
    wide, least = (high - low) / 2, SHIFT[name] / 4
    right = (curve(mean + half) - curve(mean - half)) / 2
    if abs(wide - right) <= WIDTH * right + least:
        return ""
    deviation = statistics.stdev(changes)
    mistakes = [
        (deviation, _("This is one standard deviation, not an interval of the mean.")),
        (deviation / math.sqrt(n), _("This is one standard error: times 1.96.")),
        (Z * deviation, _("Divide by the root of the number of answers.")),
        (Z * deviation / n, _("Divide by the root of the number, not by the number.")),
        (2 * half, _("low and high are twice as far apart as they should be.")),
    ]
    return why_not_as_wide(wide, right, mistakes)


def _changes(actual: dict[str, Plain], name: str) -> list[float]:
    """After less before, answer by answer."""
    both = (_list(actual, when, name) for when in ("after", "before"))
    return [one - other for one, other in zip(*both, strict=True)]


def _list(actual: dict[str, Plain], when: str, name: str) -> list[float]:
    told = actual[when]
    assert isinstance(told, dict)
    values = told[name]
    assert isinstance(values, list)
    return [float(each) for each in values]  # type: ignore[arg-type]


def _one(value: Plain) -> float:
    assert is_number(value)
    return float(value)


CHECKS = {
    "9.7": Check(
        exercise="9.7",
        groups={FEW: 0.3, CHANGES: 0.7},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="few_bits",
        artefact=FILE,
    )
}
