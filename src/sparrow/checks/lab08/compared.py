"""Exercise 8.7: a student of one's own, within the budget, beside reward."""

import math
import statistics
from collections.abc import Sequence

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import (
    is_number,
    kind_of,
    nothing_expected,
    numbers_claimed,
    why_not_as_wide,
)
from sparrow.distill import budget, recorded
from sparrow.distill.budget import Work
from sparrow.language import _

__all__ = ["CHECKS", "budget_for"]

TAUGHT, COMPARED = "taught within the budget", "a difference, with its interval"
FILE = "08_distillation.safetensors"
Z = 1.96
# What drawing the answers again on another machine may change.
SHIFT, WIDTH = 0.04, 0.1


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at twice."""
    return [
        Case("the bill", TAUGHT, {"part": "bill"}),
        Case("the difference", COMPARED, {"part": "difference"}),
    ]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Nothing that the file says is believed where it can be measured."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    work, recipe = actual.get("work"), actual.get("recipe")
    if not isinstance(work, dict) or not isinstance(recipe, dict):
        return Verdict(False, _("The file has no bill."))
    if message := why_no_bill(work, recipe):
        return Verdict(False, message)
    size = budget_for(Work(written=int(work["written"]), learned=int(work["learned"])))  # type: ignore[arg-type]
    if size is None:
        return Verdict(False, _("Your student cost more than the runs by reward."))
    return Verdict(True) if case.group == TAUGHT else compare_difference(actual, size)


def why_no_bill(work: dict[str, Plain], recipe: dict[str, Plain]) -> str:
    """What is wrong with a bill; empty: nothing."""
    for name in ("written", "learned"):
        if not is_number(got := work.get(name)) or not 0 < got < math.inf:
            return _(
                "{name} must be a number above 0; got {got}.",
                name=name,
                got=kind_of(got),
            )
    parts = [recipe.get(name) for name in ("steps", "batch_size", "length")]
    if not all(map(is_number, parts)) or not is_number(recipe.get("seed")):
        return _("The recipe of the run names no seed, or no steps.")
    if math.prod(parts) != work["learned"]:  # type: ignore[arg-type]
        return _("The bill is not that of the recipe.")
    return ""


def budget_for(work: Work) -> str | None:
    """The smallest budget of which every run by reward pays for this work."""
    for size in ("short", "long"):
        if all(
            budget.steps_within(run.work, written=work.written, tokens_per_step=1)
            >= work.learned
            for run in recorded.shipped(size, "reward")
        ):
            return size
    return None


def compare_difference(actual: dict[str, Plain], size: str) -> Verdict:
    """The student asked again; then what the learner claims of it."""
    shares, claim = actual.get("shares"), actual.get("claim")
    assert isinstance(shares, dict)
    before, mine = shares["before"], shares["after"]
    assert isinstance(before, list)
    assert isinstance(mine, list)
    own = [float(str(each)) for each in mine]
    if statistics.mean(own) <= statistics.mean(float(str(each)) for each in before):
        return Verdict(
            False,
            _("Asked again, your student knows no more than before its lessons."),
        )
    got = numbers_claimed(claim, ("difference", "low", "high"))
    if isinstance(got, Verdict):
        return got
    theirs = recorded.mean_shares(size, "reward")
    return compare_claim(got, own, theirs)


def compare_claim(
    got: dict[str, float], own: Sequence[float], theirs: Sequence[float]
) -> Verdict:
    """Difference and half-width, within what another machine may change."""
    changes = [one - other for one, other in zip(own, theirs, strict=True)]
    mean, n = statistics.mean(changes), len(changes)
    if abs(got["difference"] - mean) > SHIFT:
        message = _("The difference is not that of this model, examined again here.")
        if abs(got["difference"] + mean) <= SHIFT:
            message = _("The difference has the wrong sign: yours minus reward's.")
        elif abs(got["difference"] - 100 * mean) <= 100 * SHIFT:
            message = _("The difference is a share, such as 0.05, and not 5 points.")
        return Verdict(False, message)
    half = Z * statistics.stdev(changes) / math.sqrt(n)
    claimed = (got["high"] - got["low"]) / 2
    if abs(claimed - half) <= WIDTH * half:
        middle = (got["high"] + got["low"]) / 2
        if abs(middle - got["difference"]) > 2 * WIDTH * half:
            return Verdict(
                False, _("The difference is not in the middle of the interval.")
            )
        return Verdict(True)
    return Verdict(
        False, why_not_as_wide(claimed, half, mistakes_of(half, own, theirs))
    )


def mistakes_of(
    half: float, own: Sequence[float], theirs: Sequence[float]
) -> list[tuple[float, str]]:
    """Half-widths that likely mistakes give, and what to say of them."""
    n = len(own)
    deviation = half * math.sqrt(n) / Z
    apart = math.sqrt(sum(statistics.variance(each) / n for each in (own, theirs)))
    return [
        (deviation, _("This is one standard deviation, not an interval of the mean.")),
        (deviation / math.sqrt(n), _("This is one standard error: times 1.96.")),
        (Z * deviation, _("Divide by the root of the number of problems.")),
        (Z * deviation / n, _("Divide by the root of the number, not by the number.")),
        (
            Z * apart,
            _("These are two separate shares: both ways got the same problems."),
        ),
        (2 * half, _("low and high are twice as far apart as they should be.")),
    ]


CHECKS = {
    "8.7": Check(
        exercise="8.7",
        groups={TAUGHT: 0.3, COMPARED: 0.7},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="taught",
        artefact=FILE,
    )
}
