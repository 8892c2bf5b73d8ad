"""Exercise 3.4: a busy expert becomes harder to choose, by one step of fixed size."""

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.lab03.small import drawn, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import moe

__all__ = ["CHECKS"]

BUSY, EXACT = "busy and idle experts", "experts with exactly their share"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Loads far apart, one expert that does all, and some that are exactly fair."""

    def case(name: str, group: str, load: list[int], speed: float) -> Case:
        before = drawn(generator, len(load), size=0.1)
        return Case(
            name, group, {"bias": before, "load": torch.tensor(load), "speed": speed}
        )

    found = [
        case("three experts", BUSY, [10, 4, 1], 0.001),
        case("one does all", BUSY, [0, 0, 0, 0, 24, 0], 0.01),
        # mean 8, median 2: who is below depends on which of them is meant
        case("one very busy", BUSY, [2, 1, 26, 2, 9], 0.5),
        case("two are fair", EXACT, [3, 6, 9, 6], 0.02),
        case("all are fair", EXACT, [5, 5, 5], 0.1),
    ]
    if hidden:
        for number in range(3):
            load = [some(generator, 0, 40) for _each in range(some(generator, 3, 9))]
            load[0] = sum(load) + 1  # never all the same
            found.append(case(f"drawn {number}", BUSY, load, 0.03 * (number + 1)))
        middle = some(generator, 5, 20)
        load = [middle - 4, middle, middle + 3, middle + 1]
        found.append(case("drawn 3", EXACT, load, 0.07))
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return moe.update_bias(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same biases."""
    return compare_close(
        actual, wanted, rtol=1e-5, atol=1e-7, causes=causes(), inputs=case.inputs
    )


def causes() -> Causes:
    """What each likely mistake computes."""

    def short(load: Tensor) -> Tensor:
        return load.float().mean() - load.float()

    return [
        (
            _("The sign is wrong: this makes the busy expert even easier to choose."),
            lambda bias, load, speed: bias - speed * short(load).sign(),
        ),
        (
            _("The step has a fixed size: only the sign of the distance counts."),
            lambda bias, load, speed: bias + speed * short(load),
        ),
        (
            _("The step has a fixed size: it is no share of the mean load."),
            lambda bias, load, speed: bias + speed * short(load) / load.float().mean(),
        ),
        (
            _("The old bias is gone: add the step to it."),
            lambda bias, load, speed: speed * short(load).sign(),
        ),
        (
            _("This is the step alone, without the speed."),
            lambda bias, load, speed: bias + short(load).sign(),
        ),
        (
            _("The bias did not move."),
            lambda bias, load, speed: bias.clone(),
        ),
        (
            _("Compare with the mean load: this is the median."),
            lambda bias, load, speed: (
                bias + speed * (load.float().median() - load.float()).sign()
            ),
        ),
        (
            _("An expert with exactly its share stays as it is: what is its sign?"),
            lambda bias, load, speed: bias + speed * _never_zero(short(load), 1.0),
        ),
        (
            _("An expert with exactly its share stays as it is: what is its sign?"),
            lambda bias, load, speed: bias + speed * _never_zero(short(load), -1.0),
        ),
        (
            _("Only idle experts move: busy ones need a step down."),
            lambda bias, load, speed: bias + speed * short(load).sign().clamp(min=0),
        ),
        (
            _("Only busy experts move: idle ones need a step up."),
            lambda bias, load, speed: bias + speed * short(load).sign().clamp(max=0),
        ),
        (
            _("The bias shrinks by a factor: add a step to it."),
            lambda bias, load, speed: bias * (1 + speed * short(load).sign()),
        ),
    ]


def _never_zero(shortfall: Tensor, at_zero: float) -> Tensor:
    return shortfall.sign().masked_fill(shortfall == 0, at_zero)


CHECKS = {
    "3.4": Check(
        exercise="3.4",
        solution="sparrow.model.moe:update_bias",
        groups={BUSY: 0.7, EXACT: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
