"""Exercise 7.6: which groups of answers can teach something."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_equal
from sparrow.checks.lab07.small import alike, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _

__all__ = ["CHECKS"]

RIGHT_OR_WRONG, PARTS = "right or wrong", "rewards in parts"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """All right, all wrong, mixed, and rewards between 0 and 1."""
    rewards = {
        "one of each kind": [
            [0.0, 0, 0, 0],
            [1, 1, 1, 1],
            [0, 0, 1, 0],
            [1, 0, 1, 1],
            [1, 1, 0, 0],
        ],
        "the odd one in the middle": [[1.0, 0, 1], [0, 1, 0], [1, 1, 1]],
    }
    found = [
        Case(name, RIGHT_OR_WRONG, {"reward": torch.tensor(rows)})
        for name, rows in rewards.items()
    ]
    in_parts = {
        "all a little right": [*alike(7), [0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1]],
        "more than 1": [[2.0, 2, 2], [2, 2, 3], [-1, -1, -1]],
    }
    found += [
        Case(name, PARTS, {"reward": torch.tensor(rows)})
        for name, rows in in_parts.items()
    ]
    if hidden:
        bits = (torch.rand(12, 3, generator=generator) < 0.5).float()
        parts = drawn(generator, 5, 1).expand(5, 7).clone()
        parts[2, 4] += 0.01
        parts = torch.cat([parts, torch.tensor(alike(7))])
        found += [
            Case("drawn 1", RIGHT_OR_WRONG, {"reward": bits}),
            Case("drawn 2", PARTS, {"reward": parts}),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library finds."""
    from sparrow.rl import rollout

    return rollout.with_signal(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Exactly the same groups."""
    if isinstance(actual, Tensor) and actual.dtype != torch.bool:
        return Verdict(
            False, _("The result is made of True and False, one for each group.")
        )
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


def causes() -> Causes:
    """What each likely mistake finds."""

    def of(find: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        return lambda reward: find(reward)

    return [
        (
            _("It is turned round: True means that a group has something to teach."),
            of(lambda r: r.amax(1) == r.amin(1)),
        ),
        (
            _("Rewards can be other numbers than 0 and 1: look for differences."),
            of(lambda r: (r.mean(1) > 0) & (r.mean(1) < 1)),
        ),
        (
            _("Groups in which all answers are right teach nothing either."),
            of(lambda r: r.amax(1) > 0),
        ),
        (
            _("Groups in which no answer is right teach nothing either."),
            of(lambda r: r.amin(1) < 1),
        ),
        (
            _("Only the first and the last answer are compared."),
            of(lambda r: r[:, 0] != r[:, -1]),
        ),
        (
            _("Neighbours are compared, and not all of them need to differ."),
            of(lambda r: (r[:, 1:] != r[:, :-1]).all(1)),
        ),
        (
            _("The spread of equal numbers is not always exactly 0: compare them."),
            of(lambda r: r.std(1) > 0),
        ),
        (
            _("The mean of equal numbers is rounded: compare the numbers themselves."),
            of(lambda r: (r != r.mean(1, keepdim=True)).any(1)),
        ),
        (
            _("The answers of one question stand in a row, not in a column."),
            of(lambda r: r.amax(0) != r.amin(0)),
        ),
        (_("Every group is kept."), of(lambda r: torch.ones(len(r), dtype=torch.bool))),
    ]


CHECKS = {
    "7.6": Check(
        exercise="7.6",
        solution="sparrow.rl.rollout:with_signal",
        groups={RIGHT_OR_WRONG: 0.6, PARTS: 0.4},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
