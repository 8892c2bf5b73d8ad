"""Exercise 5.4: Wilson's bounds of a share."""

import math
from collections.abc import Callable
from statistics import NormalDist

import torch

from sparrow.checks import drivers
from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.evaluate import intervals
from sparrow.language import _

__all__ = ["CHECKS"]

MIDDLE, EDGES, SURE = "shares in the middle", "nothing or all", "another confidence"
RTOL = 1e-6  # 1.96 in place of 1.95996… must not pass for another confidence
Bounds = tuple[float, float]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Usual shares, 0 and 1, and more or less confidence."""

    def case(group: str, successes: int, trials: int, confidence: float = 0.95) -> Case:
        inputs: dict[str, Plain] = {"successes": successes, "trials": trials}
        if confidence != 0.95:
            inputs["confidence"] = confidence
        return Case(f"{successes} of {trials}", group, inputs)

    found = [
        case(MIDDLE, 5, 10),
        case(MIDDLE, 24, 30),
        case(MIDDLE, 237, 500),
        case(EDGES, 0, 10),
        case(EDGES, 30, 30),
        case(EDGES, 0, 1),
        case(SURE, 7, 30, 0.8),
        case(SURE, 3, 4, 0.99),
    ]
    if hidden:
        for _round in range(3):
            trials = int(torch.randint(8, 900, (1,), generator=generator))
            right = int(torch.randint(1, trials, (1,), generator=generator))
            found += [
                case(MIDDLE, right, trials),
                case(EDGES, 0, trials),
                case(EDGES, trials, trials),
                case(SURE, right, trials, 0.9),
            ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return drivers.drive("record", intervals.wilson_interval, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """All four parts of the interval."""
    if not isinstance(actual, dict):
        return Verdict(
            False,
            _("Return an Interval: the share, the two bounds, and how many trials."),
        )
    verdict = compare_close(actual, wanted, rtol=RTOL, atol=1e-9)
    if verdict.passed:
        return verdict
    low, high = actual.get("low"), actual.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        for message, mistake in causes():
            wrong = mistake(**case.inputs)
            if _near((low, high), wrong):
                return Verdict(False, message)
    return verdict


def _near(one: Bounds, other: Bounds) -> bool:
    return all(
        math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7)
        for a, b in zip(one, other, strict=True)
    )


def causes() -> list[tuple[str, Callable[..., Bounds]]]:
    """The bounds that each likely mistake gives."""

    def textbook(successes: int, trials: int, confidence: float = 0.95) -> Bounds:
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        share = successes / trials
        half = z * math.sqrt(share * (1 - share) / trials)
        return share - half, share + half

    def cut(successes: int, trials: int, confidence: float = 0.95) -> Bounds:
        low, high = textbook(successes, trials, confidence)
        return max(0.0, low), min(1.0, high)

    def variant(
        z_of: Callable[[float], float] = lambda confidence: NormalDist().inv_cdf(
            (1 + confidence) / 2
        ),
        middle_of: Callable[[float, float], float] = lambda z2, n: z2 / (2 * n),
        spread_of: Callable[[float, float], float] = lambda z2, n: z2 / (4 * n**2),
        *,
        shrinks: bool = True,
        root: bool = True,
    ) -> Callable[..., Bounds]:
        def mistake(successes: int, trials: int, confidence: float = 0.95) -> Bounds:
            z, share = z_of(confidence), successes / trials
            shrink = 1 + z**2 / trials if shrinks else 1.0
            spread = share * (1 - share) / trials + spread_of(z**2, trials)
            half = z * (math.sqrt(spread) if root else spread) / shrink
            middle = (share + middle_of(z**2, trials)) / shrink
            # Whoever makes this mistake may keep both bounds inside 0..1, or not.
            return middle - half, middle + half

        return mistake

    one_side = variant(lambda confidence: NormalDist().inv_cdf(confidence))
    always = variant(lambda _confidence: NormalDist().inv_cdf(0.975))
    return [
        (
            _(
                "This is the textbook's share ± z deviations: it promises too much "
                "near 0 and 1."
            ),
            textbook,
        ),
        (
            _("This is the textbook's interval with its ends cut off."),
            cut,
        ),
        (
            _("5 % are left out on each side: 2.5 % on each side are 5 % together."),
            one_side,
        ),
        (_("The confidence is not used: this is always 95 %."), always),
        (_("It is not divided by 1 + z²/n."), variant(shrinks=False)),
        (
            _("The middle of the bounds is not the share: it moves towards one half."),
            variant(middle_of=lambda _z2, _n: 0.0),
        ),
        (
            _("The second part of the spread is missing."),
            variant(spread_of=lambda _z2, _n: 0.0),
        ),
        (_("The root is missing."), variant(root=False)),
    ]


CHECKS = {
    "5.4": Check(
        exercise="5.4",
        solution="sparrow.evaluate.intervals:wilson_interval",
        groups={MIDDLE: 0.5, EDGES: 0.3, SURE: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="record",
    )
}
