"""Exercises 5.1 and 5.7: guess what chance does; compare two settings honestly."""

import math
import statistics

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import nothing_expected, numbers_claimed
from sparrow.evaluate import paired
from sparrow.evaluate.evidence import FILE, VERDICTS
from sparrow.language import _

__all__ = ["CHECKS"]

ANSWERS, DIFFERENCE = "answers of a model", "the difference"
DOUBT, VERDICT = "the interval and the test", "the verdict"
Z = 1.96
PLAY = 0.3  # of half an interval: drawing questions leaves some play


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at four times."""
    groups = (ANSWERS, DIFFERENCE, DOUBT, VERDICT)
    return [Case("your file", group, {}) for group in groups]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Every text was judged again; now the claim is compared with that."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    a, b = _column(actual["a"]), _column(actual["b"])
    if case.group == ANSWERS:
        return compare_answers(a, b, different=actual["different"] is True)
    said = actual["said"]
    assert isinstance(said, dict)
    claimed = numbers_claimed(said, ("difference", "low", "high", "p_value"))
    if isinstance(claimed, Verdict):
        return claimed
    changes = [float(one) - float(two) for one, two in zip(a, b, strict=True)]
    if case.group == DIFFERENCE:
        return compare_difference(changes, claimed["difference"])
    doubt = compare_interval(a, b, changes, claimed["low"], claimed["high"])
    if doubt.passed:
        doubt = compare_chance(a, b, claimed["p_value"])
    if case.group == DOUBT or not doubt.passed:
        return doubt
    return compare_verdict(claimed["low"], claimed["high"], said.get("verdict"))


def _column(found: Plain) -> list[bool]:
    assert isinstance(found, list)
    return [each is True for each in found]


def compare_answers(a: list[bool], b: list[bool], *, different: bool) -> Verdict:
    """Somebody solved something, and the two columns are two."""
    if not different:
        return Verdict(False, _("Both columns hold the same texts: ask twice."))
    if not any(a) and not any(b):
        return Verdict(
            False,
            _("No text solves its problem: do they stand in the examination's order?"),
        )
    return Verdict(True)


def compare_difference(changes: list[float], got: float) -> Verdict:
    """The share of a less the share of b."""
    right = statistics.mean(changes)
    if abs(got - right) < 1e-6:
        return Verdict(True)
    mistakes = [
        (-right, _("The sign is wrong: it is a less b.")),
        (100 * right, _("These are points: say it as a share, 0.05 for 5 points.")),
        (sum(changes), _("This is a number of questions: say it as a share.")),
    ]
    for wrong, message in mistakes:
        if abs(got - wrong) < 1e-6:
            return Verdict(False, message)
    return Verdict(False, _("Judged again, the difference is another."))


def compare_interval(
    a: list[bool], b: list[bool], changes: list[float], low: float, high: float
) -> Verdict:
    """The library's, or any other paired 95 % interval close to it."""
    wanted = paired.paired_difference(a, b, generator=torch.Generator().manual_seed(0))
    half, got = (wanted.high - wanted.low) / 2, (high - low) / 2
    if low > high:
        return Verdict(False, _("low is larger than high."))
    near = abs(low - wanted.low) <= PLAY * half and abs(high - wanted.high) <= (
        PLAY * half
    )
    if near:
        return Verdict(True)
    n, deviation = len(changes), statistics.stdev(changes)
    apart = sum(
        statistics.mean(each) * (1 - statistics.mean(each)) / n for each in (a, b)
    )
    mistakes = [
        (
            Z * math.sqrt(apart),
            _("These are two separate shares: the same questions were asked twice."),
        ),
        (deviation / math.sqrt(n), _("This is one standard error, not 95 %.")),
        (100 * half, _("These are points: say it as a share, 0.05 for 5 points.")),
    ]
    for wrong, message in mistakes:
        if abs(got - wrong) <= 0.08 * wrong:
            return Verdict(False, message)
    if not low <= statistics.mean(changes) <= high:
        return Verdict(False, _("The difference itself is not in the interval."))
    if got > half:
        return Verdict(False, _("The interval is too wide."))
    return Verdict(False, _("The interval is too narrow."))


def compare_chance(a: list[bool], b: list[bool], got: float) -> Verdict:
    """The exact two-sided chance."""
    right = paired.mcnemar(a, b).p_value
    if math.isclose(got, right, rel_tol=1e-6, abs_tol=1e-12):
        return Verdict(True)
    if math.isclose(got, right / 2, rel_tol=1e-6):
        return Verdict(False, _("p_value is of one side: either could be better."))
    return Verdict(False, _("p_value is not that of McNemar's exact test."))


def compare_verdict(low: float, high: float, got: Plain) -> Verdict:
    """What the interval allows one to say."""
    if got not in VERDICTS:
        return Verdict(
            False,
            _("The verdict is one of: {there}.", there=", ".join(VERDICTS)),
        )
    allowed = "a" if low > 0 else "b" if high < 0 else "cannot distinguish"
    if got == allowed:
        return Verdict(True)
    if allowed == "cannot distinguish":
        return Verdict(
            False, _("The interval holds 0, and the verdict names a winner.")
        )
    return Verdict(False, _("Where does your interval lie, seen from 0?"))


CHECKS = {
    "5.1": guess_check("5.1", "how often of 100", lambda: _("times in a hundred")),
    "5.7": Check(
        exercise="5.7",
        groups={ANSWERS: 0.2, DIFFERENCE: 0.2, DOUBT: 0.4, VERDICT: 0.2},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="judged_again",
        artefact=FILE,
    ),
}
