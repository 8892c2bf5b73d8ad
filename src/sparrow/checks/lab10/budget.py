"""Exercises 10.1 and 10.2: guess what a crowd costs; then share a step among it."""

from collections.abc import Sequence

import torch

from sparrow.checks.guess import guess_check
from sparrow.checks.lab10.exact import compare_exact
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.serve import scheduler

__all__ = ["CHECKS"]

WRITERS, CHUNKS, FULL = "who writes goes first", "long prompts in chunks", "little room"


def some(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Readers and writers in any order, with room for all, for some, for none."""

    def case(name: str, group: str, needs: Sequence[int], budget: int) -> Case:
        return Case(name, group, {"needs": list(needs), "budget": budget})

    found = [
        case("all write", WRITERS, [1, 1, 1], 8),
        case("a prompt before a writer", WRITERS, [7, 1], 4),
        case("between two prompts", WRITERS, [5, 1, 9, 1], 7),
        case("a prompt longer than a step", CHUNKS, [30], 8),
        case("two prompts", CHUNKS, [6, 9], 10),
        case("the oldest prompt first", CHUNKS, [4, 12, 3], 8),
        case("more writers than room", FULL, [1, 1, 1, 1], 3),
        case("nobody", FULL, [], 5),
        case("a prompt that gets nothing", FULL, [9, 1, 1], 2),
    ]
    if hidden:
        for place, group in enumerate((WRITERS, CHUNKS, FULL)):
            needs = [
                1 if some(generator, 0, 1) else some(generator, 2, 20)
                for _request in range(some(generator, 3, 9))
            ]
            most = some(generator, 2, 25) if group != FULL else some(generator, 1, 4)
            found.append(case(f"drawn {place + 1}", group, needs, most))
    return found


def expected(case: Case) -> Plain:
    """The library's shares."""
    return scheduler.share_budget(**case.inputs)  # type: ignore[arg-type,return-value]


def in_turn(needs: Sequence[int], budget: int, order: Sequence[int]) -> list[int]:
    """Each gets what is left when its turn comes."""
    counts = [0] * len(needs)
    for each in order:
        counts[each] = min(needs[each], budget)
        budget -= counts[each]
    return counts


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same whole numbers, one a request."""
    needs, budget = case.inputs["needs"], case.inputs["budget"]
    assert isinstance(needs, list)
    assert isinstance(budget, int)
    own = [int(each) for each in needs]  # type: ignore[arg-type]
    places = range(len(own))
    writers = sorted(places, key=lambda each: own[each] > 1)
    whole = in_turn(own, budget, writers)
    mistakes = [
        (own, _("This is more than the budget of the step.")),
        (
            in_turn(own, budget, places),
            _("Somebody writes and waits for a prompt: those that write go first."),
        ),
        (
            in_turn(own, budget, sorted(places, key=lambda each: own[each] <= 1)),
            _("The prompts went first: those that write go first."),
        ),
        (
            [a if a == b else 0 for a, b in zip(whole, own, strict=True)],
            _("A prompt that does not fit gets as much of the step as is left."),
        ),
        (
            in_turn(own, budget, sorted(places, key=lambda each: (own[each], each))),
            _("Among prompts the oldest goes first, not the shortest."),
        ),
        (
            in_turn(own, budget, sorted(places, key=lambda x: (own[x] > 1, -x))),
            _("The newest went first: the oldest waits longest already."),
        ),
        (
            [min(each, 1) for each in own],
            _("One token each: what is left of the budget belongs to the prompts."),
        ),
    ]
    return compare_exact(wanted, actual, mistakes)


CHECKS = {
    "10.1": guess_check("10.1", "how many times", lambda: _("times as many tokens")),
    "10.2": Check(
        exercise="10.2",
        solution="sparrow.serve.scheduler:share_budget",
        groups={WRITERS: 0.4, CHUNKS: 0.35, FULL: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
    ),
}
