"""Exercises 6.1 and 6.7: a guess, and a cold start that stands before the gate."""

import math

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, nothing_expected, numbers_claimed
from sparrow.language import _

__all__ = ["CHECKS"]

OWN, FIGURES, OPEN = "a cold start of your own", "the four figures", "the gate is open"
FILE = "06_cold_start.safetensors"
STEPS = 100
LEARNED = 0.8  # the last losses, as a part of the first ones, at most
FEW = 10  # losses at either end
# What another machine may change: one answer of many comes out otherwise.
ALLOWED = {"pass1": 0.02, "pass8": 0.035, "entropy": 0.01, "degenerate": 0.035}


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The file that the lab leaves, looked at three times."""
    return [
        Case("the run", OWN, {"part": "run"}),
        Case("the figures", FIGURES, {"part": "gate"}),
        Case("the gate", OPEN, {"part": "gate"}),
    ]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Nothing that the file says is believed where it can be measured."""
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    if case.group == OWN:
        return compare_run(actual)
    return compare_figures(actual) if case.group == FIGURES else compare_gate(actual)


def compare_run(actual: dict[str, Plain]) -> Verdict:
    """Long enough, told step by step, with a seed, and it has learned."""
    losses, recipe = actual.get("losses"), actual.get("recipe")
    if not isinstance(losses, list) or not isinstance(recipe, dict):
        return Verdict(False, _("The file has no losses of a run."))
    if len(losses) < STEPS:
        return Verdict(
            False,
            _(
                "The run has {got} steps; at least {n} count.",
                got=len(losses),
                n=STEPS,
            ),
        )
    told = [each for each in losses if is_number(each) and math.isfinite(each)]
    if len(told) < len(losses):
        return Verdict(False, _("The loss of a step is no number."))
    if not is_number(recipe.get("seed")):
        return Verdict(False, _("The recipe of the run names no seed."))
    if sum(told[-FEW:]) > LEARNED * sum(told[:FEW]):
        return Verdict(False, _("The loss has hardly fallen: nothing was imitated."))
    return Verdict(True)


def compare_figures(actual: dict[str, Plain]) -> Verdict:
    """What the learner claims, beside what the model does when it is asked again."""
    measured, claim = actual.get("measured"), actual.get("claim")
    assert isinstance(measured, dict)
    got = numbers_claimed(claim, tuple(ALLOWED))
    if isinstance(got, Verdict):
        return got
    for name, allowed in ALLOWED.items():
        true = measured[name]
        assert is_number(true)
        if abs(got[name] - true) > allowed:
            return Verdict(False, why_wrong(name, got[name], measured, allowed))
    return Verdict(True)


def why_wrong(name: str, got: float, measured: dict[str, Plain], allowed: float) -> str:
    """The likeliest cause of a wrong figure."""
    true = {key: each for key, each in measured.items() if is_number(each)}
    one, eight, alike = true["pass1"], true["pass8"], true["degenerate"]
    shares = {
        "pass1": [
            (eight, _("pass1 is the share of all answers, not of problems.")),
            (100 * one, _("pass1 is a share, such as 0.25, and not a percentage.")),
            (512 * one, _("pass1 is a share of the answers, and not their number.")),
        ],
        "pass8": [
            (one, _("pass8 asks for at least one right answer of the eight.")),
            (
                1 - (1 - one) ** 8,
                _(
                    "This would be true if all problems were equally hard. Count the "
                    "problems that have a right answer."
                ),
            ),
            (100 * eight, _("pass8 is a share, and not a percentage.")),
        ],
        "entropy": [
            (-true["entropy"], _("The entropy is minus the mean log-probability.")),
            (
                true["entropy"] / math.log(2),
                _("This is in bits: entropy is in nats a token here."),
            ),
        ],
        "degenerate": [
            (1 - alike, _("These are the groups with a difference: the other ones.")),
            (1 - eight, _("Groups that are all right teach nothing either.")),
            (
                alike - (1 - eight),
                _("Groups that are all wrong teach nothing either."),
            ),
            (100 * alike, _("degenerate is a share, and not a percentage.")),
        ],
    }
    for wrong, message in shares[name]:
        if abs(got - wrong) <= min(allowed, abs(wrong - true[name]) / 2):
            return message
    return _("{name} is not that of this model, asked again here.", name=name)


def compare_gate(actual: dict[str, Plain]) -> Verdict:
    """What the library's gate says of the model."""
    warnings = actual.get("warnings")
    assert isinstance(warnings, list)
    if warnings:
        return Verdict(False, str(warnings[0]))
    return Verdict(True)


CHECKS = {
    "6.1": guess_check("6.1", "a number of problems", lambda: _("problems")),
    "6.7": Check(
        exercise="6.7",
        groups={OWN: 0.2, FIGURES: 0.4, OPEN: 0.4},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="admitted",
        artefact=FILE,
    ),
}
