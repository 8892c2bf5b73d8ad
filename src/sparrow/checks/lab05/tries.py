"""Exercise 5.3: one of k tries is right, judged from all samples."""

import math
from collections.abc import Callable

import torch

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.evaluate import passk
from sparrow.language import _

__all__ = ["CHECKS"]

SMALL, EDGES, LARGE = "small numbers", "nothing or all", "many samples"
RTOL = 1e-9


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """By hand, at the edges, and where binomials overflow."""

    def case(group: str, n: int, c: int, k: int) -> Case:
        return Case(f"{c} of {n}, {k} tries", group, {"n": n, "c": c, "k": k})

    found = [
        case(SMALL, 4, 1, 2),
        case(SMALL, 5, 2, 2),
        case(SMALL, 16, 3, 8),
        case(SMALL, 7, 3, 1),
        case(EDGES, 6, 0, 3),
        case(EDGES, 6, 6, 3),
        case(EDGES, 6, 4, 3),
        case(EDGES, 1, 1, 1),
        case(EDGES, 6, 1, 6),
        case(LARGE, 5000, 20, 100),
        case(LARGE, 5000, 1, 2500),
    ]
    if hidden:
        for _round in range(6):
            n = int(torch.randint(6, 40, (1,), generator=generator))
            c = int(torch.randint(1, n // 2, (1,), generator=generator))
            k = int(torch.randint(2, n - c, (1,), generator=generator))
            found += [
                case(SMALL, n, c, k),
                case(EDGES, n, c, n),
                case(LARGE, 100 * n, c, 10 * k),
            ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return passk.pass_at_k(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Nearly to the last digit."""
    return compare_close(
        actual, wanted, rtol=RTOL, atol=1e-12, causes=causes(), inputs=case.inputs
    )


def causes() -> Causes:
    """What each likely mistake computes."""

    def ways(
        join: Callable[[float, float], float],
    ) -> Callable[[int, int, int], float]:
        def mistake(n: int, c: int, k: int) -> float:
            try:
                return join(
                    float(math.comb(n - c, k)) / math.comb(n, k),
                    math.comb(c, k) / math.comb(n, k),
                )
            except OverflowError:
                return math.inf

        return mistake

    return [
        (
            _(
                "This draws with replacement: a sample that was drawn is not in the "
                "bag again."
            ),
            lambda n, c, k: 1 - (1 - c / n) ** k,
        ),
        (
            _("This is the chance that no sample is right."),
            ways(lambda none, _all: none),
        ),
        (
            _("This is the chance that all k samples are right."),
            ways(lambda _none, every: every),
        ),
        (_("This is the share of right samples: one try."), lambda n, c, k: c / n),
        (_("Chances of single tries do not add up."), lambda n, c, k: k * c / n),
        (
            _("Chances of single tries do not add up."),
            lambda n, c, k: min(1.0, k * c / n),
        ),
        (
            _("One more or one fewer is drawn: count the factors."),
            lambda n, c, k: passk.pass_at_k(n, c, min(n, k + 1)),
        ),
        (
            _("One more or one fewer is drawn: count the factors."),
            lambda n, c, k: passk.pass_at_k(n, c, k - 1) if k > 1 else 0.0,
        ),
    ]


CHECKS = {
    "5.3": Check(
        exercise="5.3",
        solution="sparrow.evaluate.passk:pass_at_k",
        groups={SMALL: 0.5, EDGES: 0.3, LARGE: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
