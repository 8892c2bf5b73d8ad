"""Exercise 2.5: a case in which turning the latent is not turning the key."""

from collections.abc import Sequence
from typing import Any

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.language import _

__all__ = ["CHECKS"]

VALID, DIFFERENT = "a valid example", "the scores differ"
NAMES = ("matrix", "query", "latent", "query_at", "key_at")
LARGEST, LAST = 3, 9


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """First: is it an example? Then: does it break the short cut?"""
    return [Case("your example", group, {}) for group in (VALID, DIFFERENT)]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Compute both scores; if they agree, say which part of the example hides it."""
    if wrong := malformed(actual):
        return Verdict(False, wrong)
    if case.group == VALID:
        return Verdict(True)
    assert isinstance(actual, dict)
    given: dict[str, Any] = actual
    true, short_cut = both_scores(given)
    if true != short_cut:
        return Verdict(True)
    return Verdict(False, why_equal(given))


def both_scores(given: dict[str, Any]) -> tuple[float, float]:
    """The score with the key turned, and with the latent turned in its place."""
    (a, b), (c, d) = given["matrix"]
    (q0, q1), (l0, l1) = given["query"], given["latent"]
    away = given["query_at"] - given["key_at"]
    key = [a * l0 + b * l1, c * l0 + d * l1]
    carried = [a * q0 + c * q1, b * q0 + d * q1]
    # Only the distance counts: turning both by the same angle changes no product.
    true = dot(turned([q0, q1], away), key)
    return true, dot(turned(carried, away), [l0, l1])


def turned(vector: Sequence[float], quarters: int) -> list[float]:
    """Anticlockwise by so many quarters of a full turn."""
    x, y = vector
    for _quarter in range(quarters % 4):
        x, y = -y, x
    return [x, y]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The sum of the products."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def why_equal(given: dict[str, Any]) -> str:
    """The likeliest reason why both scores agree."""
    away = given["query_at"] - given["key_at"]
    (a, b), (c, d) = given["matrix"]
    if not any((a, b, c, d)) or not any(given["query"]) or not any(given["latent"]):
        return _("Something is all zeros: then every score is 0.")
    if away % 4 == 0:
        return _(
            "{n} quarter turns are whole turns: nothing moves. Change the distance.",
            n=away,
        )
    if away % 2 == 0:
        return _(
            "{n} quarter turns only change signs, and that can be done before or "
            "after any matrix. Change the distance.",
            n=away,
        )
    if a == d and b == -c:
        return _(
            "This matrix turns and stretches, or does nothing. Two turns may swap "
            "places. Try a matrix that treats the two features differently."
        )
    return _(
        "Distance and matrix are good, but this query and this latent happen to give "
        "equal scores. Change one of their numbers."
    )


def malformed(actual: Plain) -> str:
    """What keeps the example from being computed, or nothing."""
    if not isinstance(actual, dict) or set(actual) != set(NAMES):
        return _(
            "counterexample is a dictionary with exactly these names: {names}.",
            names=", ".join(NAMES),
        )
    rows = actual["matrix"]
    if not isinstance(rows, list) or len(rows) != 2:
        return _("matrix has two rows of two numbers, such as [[1, 0], [0, 1]].")
    pairs: dict[str, Plain] = {
        "matrix[0]": rows[0],
        "matrix[1]": rows[1],
        "query": actual["query"],
        "latent": actual["latent"],
    }
    for name, pair in pairs.items():
        if not isinstance(pair, list) or len(pair) != 2:
            return _("{name} has two numbers, such as [1, 0].", name=name)
        for each in pair:
            if not is_number(each) or each != round(each) or abs(each) > LARGEST:
                return _(
                    "{name} holds whole numbers from {low} to {high}; got {got}.",
                    name=name,
                    low=-LARGEST,
                    high=LARGEST,
                    got=kind_of(each),
                )
    return misplaced(actual)


def misplaced(actual: dict[str, Plain]) -> str:
    """What is wrong with the two positions, or nothing."""
    for name in ("query_at", "key_at"):
        place = actual[name]
        if (
            not isinstance(place, int)
            or isinstance(place, bool)
            or not 0 <= place <= LAST
        ):
            return _(
                "{name} is a position from 0 to {last}; got {got}.",
                name=name,
                last=LAST,
                got=kind_of(place),
            )
    query_at, key_at = actual["query_at"], actual["key_at"]
    assert isinstance(query_at, int)
    assert isinstance(key_at, int)
    if key_at == query_at:
        return _("Both stand at the same place: the two turns cancel. Move one.")
    if key_at > query_at:
        return _("A query looks back: key_at must be below query_at.")
    return ""


CHECKS = {
    "2.5": Check(
        exercise="2.5",
        solution=None,
        groups={VALID: 0.25, DIFFERENT: 0.75},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="value",
    )
}
