"""Exercises 4.1 and 4.7: guess what must survive; then measure what did."""

import statistics

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import (
    is_number,
    nothing_expected,
    numbers_claimed,
    why_not_as_wide,
)
from sparrow.language import _

__all__ = ["CHECKS"]

SURVIVED, MEASURED = "killed, and still the same", "bits per byte, with an interval"
FILE = "04_pretraining.safetensors"
STEPS, SEEDS = 60, 3
UNTRAINED = 4.2  # bits a byte; random weights have about 4.7, 60 steps about 3
T_95 = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}  # Student's t, two sides, n - 1


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at twice."""
    return [
        Case("the two runs", SURVIVED, {"part": "survival"}),
        Case("the seeds", MEASURED, {"part": "bits"}),
    ]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Nothing that the file says is believed where it can be measured."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    if case.group == SURVIVED:
        return compare_runs(actual)
    return compare_bits(actual)


def compare_runs(actual: dict[str, Plain]) -> Verdict:
    """Equal to the bit, long enough, and really trained."""
    alone, resumed = actual["alone"], actual["resumed"]
    if not isinstance(alone, list) or not isinstance(resumed, list):
        return Verdict(False, _("The file has no loss traces."))
    if len(alone) < STEPS:
        return Verdict(
            False,
            _("The run has {got} steps; at least {n} count.", got=len(alone), n=STEPS),
        )
    if not all(is_number(loss) for loss in [*alone, *resumed]):
        return Verdict(False, _("A loss is no number."))
    if alone != resumed:
        return Verdict(
            False,
            _("The two loss traces differ: was the killed run resumed to its end?"),
        )
    if not actual["equal"]:
        return Verdict(
            False,
            _("The weights of the two runs differ: same seed, same threads?"),
        )
    return Verdict(True)


def compare_bits(actual: dict[str, Plain]) -> Verdict:
    """The mean over seeds and its interval, from the models themselves."""
    bits, claim = actual["bits"], actual["claim"]
    assert isinstance(bits, list)
    if len(bits) < SEEDS or len(bits) not in T_95:
        return Verdict(
            False,
            _("There are {got} seeds: take from 3 to 6.", got=len(bits)),
        )
    values = [each for each in bits if is_number(each)]
    if len(set(values)) < len(values):
        return Verdict(False, _("Two seeds gave the same model: they are one seed."))
    if min(values) > UNTRAINED:
        return Verdict(False, _("These models have not learned anything."))
    got = numbers_claimed(claim, ("mean", "low", "high"))
    if isinstance(got, Verdict):
        return got
    return compare_interval(values, got)


def compare_interval(values: list[float], got: dict[str, float]) -> Verdict:
    """Mean and half-width, within what another machine may change."""
    count = len(values)
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    half = T_95[count] * deviation / count**0.5
    if abs(got["mean"] - mean) > 0.01 * mean:
        return Verdict(
            False, _("The mean is not that of these models, measured again here.")
        )
    claimed = (got["high"] - got["low"]) / 2
    mistakes = [
        (deviation, _("This is one standard deviation, not an interval of the mean.")),
        (deviation / count**0.5, _("This is one standard error: times Student's t.")),
        (
            1.96 * deviation / count**0.5,
            _("1.96 is for many seeds; with so few, Student's t is larger."),
        ),
        (T_95[count] * deviation, _("Divide by the root of the number of seeds.")),
        (
            T_95[count] * statistics.pstdev(values) / count**0.5,
            _("Divide by n - 1 in the deviation: the mean is from the same values."),
        ),
        (2 * half, _("low and high are twice as far from the mean as they should be.")),
    ]
    allowed = 0.05 * half + 0.001
    if abs(claimed - half) <= allowed:
        if abs((got["high"] + got["low"]) / 2 - got["mean"]) > allowed:
            return Verdict(False, _("The mean is not in the middle of the interval."))
        return Verdict(True)
    return Verdict(False, why_not_as_wide(claimed, half, mistakes, play=0.001))


CHECKS = {
    "4.1": guess_check("4.1", "how many times as large", lambda: _("times")),
    "4.7": Check(
        exercise="4.7",
        groups={SURVIVED: 0.5, MEASURED: 0.5},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="left_behind",
        artefact=FILE,
    ),
}
