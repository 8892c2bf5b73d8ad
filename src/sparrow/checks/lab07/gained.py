"""Exercise 7.7: the learner's own run, and a gain that is there when asked again."""

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
from sparrow.language import _

__all__ = ["CHECKS"]

TRAINED, GAINED = "a run of your own", "a gain, with its interval"
FILE = "07_grpo.safetensors"
STEPS = 20
Z = 1.96


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at twice."""
    return [
        Case("the run", TRAINED, {"part": "run"}),
        Case("the gain", GAINED, {"part": "gain"}),
    ]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Nothing that the file says is believed where it can be measured."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    return compare_run(actual) if case.group == TRAINED else compare_gain(actual)


def compare_run(actual: dict[str, Plain]) -> Verdict:
    """Long enough, told step by step, and with a seed."""
    rewards, recipe = actual.get("rewards"), actual.get("recipe")
    if not isinstance(rewards, list) or not isinstance(recipe, dict):
        return Verdict(False, _("The file has no log of rewards."))
    if len(rewards) < STEPS:
        return Verdict(
            False,
            _(
                "The run has {got} steps; at least {n} count.",
                got=len(rewards),
                n=STEPS,
            ),
        )
    if not all(is_number(each) and math.isfinite(each) for each in rewards):
        return Verdict(False, _("The reward of a step is no number."))
    if not is_number(recipe.get("seed")):
        return Verdict(False, _("The recipe of the run names no seed."))
    return Verdict(True)


def compare_gain(actual: dict[str, Plain]) -> Verdict:
    """The paired gain of the model itself; then what the learner claims of it."""
    solved, claim = actual.get("solved"), actual.get("claim")
    assert isinstance(solved, dict)
    before, after = solved["before"], solved["after"]
    assert isinstance(before, list)
    assert isinstance(after, list)
    changes = [
        float(bool(now)) - float(bool(then))
        for then, now in zip(before, after, strict=True)
    ]
    gain = statistics.mean(changes)
    half = Z * statistics.stdev(changes) / math.sqrt(len(changes))
    if gain - half <= 0:
        return Verdict(
            False,
            _("No gain can be told: asked again, the interval holds 0. Train longer."),
        )
    got = numbers_claimed(claim, ("gain", "low", "high"))
    if isinstance(got, Verdict):
        return got
    return compare_claim(got, gain, half, mistakes_of(before, after, changes))


def mistakes_of(
    before: Sequence[object], after: Sequence[object], changes: Sequence[float]
) -> list[tuple[float, str]]:
    """Half-widths that likely mistakes give, and what to say of them."""
    n, deviation = len(changes), statistics.stdev(changes)
    shares = [sum(map(bool, each)) / n for each in (before, after)]
    apart = math.sqrt(sum(share * (1 - share) / n for share in shares))
    return [
        (deviation, _("This is one standard deviation, not an interval of the mean.")),
        (deviation / math.sqrt(n), _("This is one standard error: times 1.96.")),
        (Z * deviation, _("Divide by the root of the number of problems.")),
        (Z * deviation / n, _("Divide by the root of the number, not by the number.")),
        (
            Z * apart,
            _("These are two separate shares: the same problems were asked twice."),
        ),
        (
            2 * Z * deviation / math.sqrt(n),
            _("low and high are twice as far from the gain as they should be."),
        ),
    ]


def compare_claim(
    got: dict[str, float], gain: float, half: float, mistakes: list[tuple[float, str]]
) -> Verdict:
    """Gain and half-width, within what another machine may change."""
    claimed = (got["high"] - got["low"]) / 2
    if abs(got["gain"] - gain) > 0.03:
        message = _("The gain is not that of this model, asked again here.")
        if abs(got["gain"] + gain) <= 0.03:
            message = _("The gain has the wrong sign: after minus before.")
        if abs(got["gain"] - 100 * gain) <= 3:
            message = _("The gain is a share, such as 0.25, and not 25 points.")
        return Verdict(False, message)
    allowed = 0.08 * half
    if abs(claimed - half) <= allowed:
        if abs((got["high"] + got["low"]) / 2 - got["gain"]) > 2 * allowed:
            return Verdict(False, _("The gain is not in the middle of the interval."))
        return Verdict(True)
    return Verdict(False, why_not_as_wide(claimed, half, mistakes))


CHECKS = {
    "7.7": Check(
        exercise="7.7",
        groups={TRAINED: 0.3, GAINED: 0.7},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="rewarded",
        artefact=FILE,
    )
}
