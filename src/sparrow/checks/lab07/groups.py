"""Exercises 7.1 and 7.2: guess what reward brings; then judge answers by siblings."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.guess import guess_check
from sparrow.checks.lab07.small import RTOL, alike, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.rl import advantage

__all__ = ["CHECKS"]

DISTANCE, SPREAD = "distance from the group", "measured in spreads"
EQUAL = "groups without differences"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Groups of several sizes, with and without scale, and some that are all alike."""

    def case(name: str, group: str, reward: object, scale: bool) -> Case:
        numbers = torch.as_tensor(reward, dtype=torch.float32)
        return Case(name, group, {"reward": numbers, "scale": scale})

    uneven = [[1.0, 0, 0, 0], [1, 1, 0, 1], [0.5, 0, 2, 1]]
    found = [
        case("one group", DISTANCE, [[1.0, 0, 0, 1]], False),
        case("three groups", DISTANCE, uneven, False),
        case("two answers", SPREAD, [[1.0, 0], [0, 0.25]], True),
        case("three groups, in spreads", SPREAD, uneven, True),
        case(
            "as many groups as answers",
            SPREAD,
            [[1.0, 0, 0], [0, 0, 2], [1, 2, 4]],
            True,
        ),
        case("none right, all right", EQUAL, [[0.0] * 4, [1.0] * 4], True),
        case("all a little right", EQUAL, alike(7), True),
    ]
    if hidden:
        sizes = torch.randint(3, 9, (2,), generator=generator).tolist()
        reward = drawn(generator, *sizes)
        found += [
            case("drawn 1", DISTANCE, reward, False),
            case("drawn 2", SPREAD, reward, True),
            case("drawn 3", EQUAL, alike(9), True),
            case("drawn 4", EQUAL, alike(11), False),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return advantage.group_advantage(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same numbers; where nothing can be learned, exactly 0."""
    verdict = compare_close(
        actual, wanted, rtol=RTOL, atol=1e-6, causes=causes(), inputs=case.inputs
    )
    if case.group != EQUAL or not isinstance(actual, Tensor):
        return verdict
    if actual.shape == case.inputs["reward"].shape and actual.isnan().any():  # type: ignore[union-attr]
        return Verdict(
            False,
            _("A group without differences gives 0/0. What do you add to the spread?"),
        )
    if verdict.passed and actual.count_nonzero():
        return _rounded()
    tiny = isinstance(wanted, Tensor) and actual.shape == wanted.shape
    if not verdict.passed and tiny and float(actual.abs().max()) < 0.01:
        return _rounded()
    return verdict


def _rounded() -> Verdict:
    return Verdict(
        False,
        _(
            "Equal rewards give nearly 0, not exactly 0: their mean is rounded. Look "
            "for groups in which the largest is the smallest."
        ),
    )


def causes() -> Causes:
    """What each likely mistake computes."""

    def of(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
        def mistake(reward: Tensor, scale: bool) -> Tensor:
            away = reward - reward.mean(1, keepdim=True)
            return change(reward, away) if scale else away

        return mistake

    def spread(reward: Tensor) -> Tensor:
        return reward.std(1, keepdim=True) + 1e-4

    def whole(reward: Tensor, scale: bool) -> Tensor:
        return (reward - reward.mean()) / (reward.std() + 1e-4 if scale else 1)

    def by_question(reward: Tensor, scale: bool) -> Tensor:
        divisor = reward.std(0, keepdim=True) + 1e-4 if scale else 1
        return (reward - reward.mean(0, keepdim=True)) / divisor

    return [
        (_("Each group has its own mean: this is the mean of all groups."), whole),
        (
            _("Siblings stand in a row: the mean is over the answers of a question."),
            by_question,
        ),
        (
            _("This is the reward itself: take off what the group earns on average."),
            lambda reward, scale: reward.clone(),
        ),
        (
            _("The mean is not taken off before dividing."),
            lambda reward, scale: reward / (spread(reward) if scale else 1),
        ),
        (
            _("scale is False here: do not divide."),
            lambda reward, scale: (
                (reward - reward.mean(1, keepdim=True)) / spread(reward)
            ),
        ),
        (_("scale is True here: divide by the spread."), of(lambda r, a: a)),
        (
            _("The spread is divided by G - 1 inside, not by G."),
            of(lambda r, a: a / (r.std(1, keepdim=True, correction=0) + 1e-4)),
        ),
        (
            _("Add 0.0001 to the spread before you divide."),
            of(lambda r, a: a / r.std(1, keepdim=True)),
        ),
        (
            _("Divide by the spread, not by its square."),
            of(lambda r, a: a / (r.var(1, keepdim=True) + 1e-4)),
        ),
        (
            _("Each group has its own spread: this is the spread of all groups."),
            of(lambda r, a: a / (r.std() + 1e-4)),
        ),
        (
            _("The sign is wrong: the better answer needs the larger advantage."),
            lambda reward, scale: (
                (reward.mean(1, keepdim=True) - reward)
                / (spread(reward) if scale else 1)
            ),
        ),
        (
            _("Compare with the mean of the group: this is the best of it."),
            lambda reward, scale: (
                (reward - reward.amax(1, keepdim=True))
                / (spread(reward) if scale else 1)
            ),
        ),
    ]


CHECKS = {
    "7.1": guess_check("7.1", "how many of 100", lambda: _("problems of 100")),
    "7.2": Check(
        exercise="7.2",
        solution="sparrow.rl.advantage:group_advantage",
        groups={DISTANCE: 0.35, SPREAD: 0.4, EQUAL: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
    ),
}
