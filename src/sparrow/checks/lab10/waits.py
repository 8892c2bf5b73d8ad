"""Exercise 10.7: what a class felt, from when each asked and when words came."""

import statistics
from collections.abc import Sequence

import numpy as np
import torch

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _

__all__ = ["CHECKS"]

FIRST, SPEED = "the first word", "tokens a second"
Answer = dict[str, Plain]


def answer(asked_s: float, first_s: float, tokens: int, each_s: float) -> Answer:
    """Someone who asked, and when words came."""
    at = [round(asked_s + first_s + place * each_s, 6) for place in range(tokens)]
    return {"asked_s": asked_s, "pieces_s": list(at), "tokens": tokens}


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """A few who ask at once, a few in turn, and one who waits long."""

    def case(name: str, group: str, answers: Sequence[Answer]) -> Case:
        return Case(name, group, {"answers": list(answers)})

    together = [answer(0.0, 0.1 * (place + 1), 5, 0.02) for place in range(5)]
    apart = [answer(2.0 * place + 1, 0.2, 4 + place, 0.1) for place in range(4)]
    long = [answer(0.5 * place, 0.05, 6, 0.01) for place in range(20)]
    long[7] = answer(3.5, 4.0, 6, 0.01)
    found = []
    for group in (FIRST, SPEED):
        found += [
            case("all at once", group, together),
            case("one after the other", group, apart),
            case("one waits long", group, long),
        ]
        if hidden:
            drawn = torch.rand(12, 3, generator=generator).tolist()
            answers = [
                answer(round(8 * a, 3), round(b + 0.01, 3), 3 + int(9 * c), 0.05)
                for a, b, c in drawn
            ]
            found.append(case("drawn", group, answers))
    return found


def figures(answers: Sequence[Answer]) -> dict[str, Plain]:
    """What is right."""
    asked, first, last, tokens = _columns(answers)
    waited = [one - other for one, other in zip(first, asked, strict=True)]
    return {
        "first_p50_s": float(np.percentile(waited, 50)),
        "first_p95_s": float(np.percentile(waited, 95)),
        "tokens_per_s": sum(tokens) / (max(last) - min(asked)),
    }


def _columns(
    answers: Sequence[Answer],
) -> tuple[list[float], list[float], list[float], list[float]]:
    """When each asked, read a first and a last word, and how many tokens came."""
    asked, first, last, tokens = [], [], [], []
    for each in answers:
        at, pieces, count = each["asked_s"], each["pieces_s"], each["tokens"]
        assert isinstance(at, float)
        assert isinstance(pieces, list)
        assert isinstance(count, int)
        asked.append(at)
        first.append(float(pieces[0]))  # type: ignore[arg-type]
        last.append(float(pieces[-1]))  # type: ignore[arg-type]
        tokens.append(float(count))
    return asked, first, last, tokens


def expected(case: Case) -> Plain:
    """The figures of one group."""
    answers = case.inputs["answers"]
    assert isinstance(answers, list)
    found = figures(answers)  # type: ignore[arg-type]
    return {name: found[name] for name in sorted(found) if _is_of(name, case.group)}


def _is_of(name: str, group: str) -> bool:
    return (name == "tokens_per_s") == (group == SPEED)


def causes() -> Causes:
    """What each likely mistake computes."""

    def since_the_beginning(answers: Sequence[Answer]) -> dict[str, Plain]:
        _asked, first, _last, _tokens = _columns(answers)
        return _percentiles(first)

    def to_the_end(answers: Sequence[Answer]) -> dict[str, Plain]:
        asked, _first, last, _tokens = _columns(answers)
        return _percentiles([b - a for a, b in zip(asked, last, strict=True)])

    def mean(answers: Sequence[Answer]) -> dict[str, Plain]:
        asked, first, _last, _tokens = _columns(answers)
        waited = [b - a for a, b in zip(asked, first, strict=True)]
        return {**_percentiles(waited), "first_p50_s": statistics.mean(waited)}

    def each_alone(answers: Sequence[Answer]) -> dict[str, Plain]:
        asked, _first, last, tokens = _columns(answers)
        took = sum(b - a for a, b in zip(asked, last, strict=True))
        return {"tokens_per_s": sum(tokens) / took}

    def from_zero(answers: Sequence[Answer]) -> dict[str, Plain]:
        _asked, _first, last, tokens = _columns(answers)
        return {"tokens_per_s": sum(tokens) / max(last)}

    def in_answers(answers: Sequence[Answer]) -> dict[str, Plain]:
        asked, _first, last, _tokens = _columns(answers)
        return {"tokens_per_s": len(asked) / (max(last) - min(asked))}

    return [
        (_("Count from when the question was asked."), since_the_beginning),
        (_("This is the wait for the last word, not for the first."), to_the_end),
        (_("This is a mean: half of the class waits less than the median."), mean),
        (
            _("Many are answered at the same time: their times are not added."),
            each_alone,
        ),
        (_("Count from the first question, not from second 0."), from_zero),
        (_("These are answers a second, not tokens."), in_answers),
    ]


def _percentiles(values: Sequence[float]) -> dict[str, Plain]:
    return {
        "first_p50_s": float(np.percentile(values, 50)),
        "first_p95_s": float(np.percentile(values, 95)),
    }


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The figures of this group, close to what is right."""
    if isinstance(actual, dict):
        actual = {name: actual[name] for name in actual if _is_of(name, case.group)}
    return compare_close(
        actual, wanted, rtol=1e-4, atol=1e-6, causes=causes(), inputs=case.inputs
    )


CHECKS = {
    "10.7": Check(
        exercise="10.7",
        solution=None,
        groups={FIRST: 0.6, SPEED: 0.4},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
