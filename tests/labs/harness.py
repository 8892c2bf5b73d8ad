"""Prove that a check refuses wrong solutions, says why, and accepts right ones.

Each exercise needs at least five mutants and two differently written right answers.
A lab's test is then a table:

    from tests.labs import harness
    from tests.labs.harness import Mutant, patched

    def no_scale(q, k, scale):
        return q @ k.T

    EXERCISES = {
        "2.3": harness.Exercise(
            wrong=[
                Mutant("no scale", no_scale, says="missing"),
                Mutant("adds", patched("sparrow.model.mla:scores", "* s", "+ s")),
                ...
            ],
            right=[mla.scores, scores_by_loop],
        ),
    }

    @pytest.mark.parametrize(*harness.wrong(EXERCISES))
    def test_a_wrong_solution_is_refused(exercise, mutant):
        harness.refuse(exercise, mutant)

    @pytest.mark.parametrize(*harness.right(EXERCISES))
    def test_a_right_solution_is_accepted(exercise, answer):
        harness.accept(exercise, answer)

    @pytest.mark.parametrize("exercise", EXERCISES)
    def test_the_check_is_tried_enough(exercise):
        harness.has_enough(EXERCISES[exercise])

A mutant is a function (or a value) of your own, or `patched(symbol, old, new)`: the
library's function with a piece of its source replaced. `says` is a piece of the
message that this mistake must get; leave it out where no particular cause is due.
`earns` is the share of the points that a half-right answer keeps (default: 0 to less
than 1, whatever it is). An answer that stands for a file that a lab leaves is a `Left`.

Both the public and the hidden cases run, the hidden ones from five secrets.
"""

import __future__

import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from sparrow.checks import drivers, find, library
from sparrow.checks.failures import in_one_sentence
from sparrow.checks.judging import Answer, Outcome, judge
from sparrow.checks.protocol import seed_of
from sparrow.checks.runner import SECONDS, files_of, run_public

SECRETS = ("one", "two", "three", "four", "five")
PUBLIC_S = SECONDS  # what a learner waits at most


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer."""

    name: str
    answer: Any
    says: str = ""
    earns: float | None = None


@dataclass(frozen=True)
class Left:
    """Stands for a file that a lab leaves: what the driver would tell of it."""

    told: dict[str, Any]


@dataclass(frozen=True)
class Exercise:
    """What a check is tried on."""

    wrong: list[Mutant]
    right: list[Any] = field(default_factory=list)


def patched(symbol: str, old: str, new: str) -> Callable[..., Any]:
    """The library's `module:symbol` with `old` replaced by `new` in its source."""
    owner, name = library.locate(symbol)
    function = inspect.unwrap(owner.__dict__[name])
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{symbol} has no {old!r}: was it rewritten?"
    namespace = dict(vars(inspect.getmodule(function)))
    code = compile(
        source.replace(old, new),
        f"<{symbol} with {new!r}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
    )
    exec(code, namespace)
    return namespace[name]


@contextmanager
def as_if_left(exercise: str, answer: Any) -> Iterator[None]:
    """Where the answer is a `Left`, its driver tells that, and opens no file."""
    told = {}
    if isinstance(answer, Left):
        told[find(exercise).driver] = lambda _claimed, _inputs: answer.told
    with mock.patch.dict(drivers.DRIVERS, told):
        yield


def public_outcome(exercise: str, answer: Any) -> Outcome:
    """What a learner hears."""
    with as_if_left(exercise, answer):
        return run_public(find(exercise), answer)


def hidden_outcome(exercise: str, answer: Any, secret: str) -> Outcome:
    """What grading would say, in this process."""
    check = find(exercise)
    generator = torch.Generator().manual_seed(seed_of(exercise, secret))
    cases = check.cases(generator, True)
    answers = []
    for case in cases:
        try:
            with as_if_left(exercise, answer):
                told = drivers.drive(check.driver, answer, case.inputs)
            answers.append(Answer(told))
        except Exception as error:
            answers.append(Answer(failure=in_one_sentence(error, files_of(answer))))
    return judge(check, cases, answers)


def refuse(exercise: str, mutant: Mutant) -> None:
    """The mutant fails in public and in hidden, with the message that it is due."""
    public = public_outcome(exercise, mutant.answer)
    hidden = [hidden_outcome(exercise, mutant.answer, secret) for secret in SECRETS]
    for outcome in (public, *hidden):
        assert not outcome.passed, f"{exercise} accepts {mutant.name}"
        if mutant.earns is not None:
            assert abs(outcome.points_frac - mutant.earns) < 1e-6, mutant.name
    said = " ".join(each.message for each in public.groups)
    assert said.strip(), f"{exercise} says nothing about {mutant.name}"
    assert mutant.says in said, f"{exercise} on {mutant.name} says: {said}"


def accept(exercise: str, answer: Any) -> None:
    """The answer passes in public and in hidden."""
    for outcome in (
        public_outcome(exercise, answer),
        *(hidden_outcome(exercise, answer, secret) for secret in SECRETS),
    ):
        said = " ".join(each.message for each in outcome.groups)
        assert outcome.passed, f"{exercise} refuses a right answer: {said}"


def refuse_stub(exercise: str) -> None:
    """What nobody has written yet earns nothing, and hears what to do."""

    def stub(*_arguments: object, **_named: object) -> None:
        raise NotImplementedError(f"Exercise {exercise}")

    outcome = run_public(find(exercise), stub)
    assert outcome.points_frac == 0
    assert "Not written yet" in outcome.groups[0].message


def refuse_without_file(exercise: str, folder: Path) -> None:
    """Where the lab left nothing, or a damaged file, nothing is earned."""
    file = find(exercise).artefact
    with mock.patch.dict(os.environ, SPARROW_HOME=str(folder)):
        missing = run_public(find(exercise), None)
        (folder / file).write_bytes(b"nothing of the kind")
        damaged = run_public(find(exercise), None)
    assert (missing.points_frac, damaged.points_frac) == (0, 0)
    assert f"{file} is not there" in missing.groups[0].message
    assert "is damaged" in damaged.groups[0].message


def keep_secret(exercise: str, tried: Exercise, pieces: Sequence[str]) -> None:
    """No message on a mutant shows one of these pieces of the solution."""
    for mutant in tried.wrong:
        for group in public_outcome(exercise, mutant.answer).groups:
            for piece in pieces:
                assert piece not in group.message.split("`")[0]


def has_enough(tried: Exercise, wrong: int = 5, right: int = 2) -> None:
    """At least five mutants and two differently written right answers."""
    assert len(tried.wrong) >= wrong
    assert len(tried.right) >= right


def wrong(exercises: Mapping[str, Exercise]) -> tuple[str, list[Any]]:
    """The arguments of a parametrize over all mutants."""
    import pytest

    return "exercise, mutant", [
        pytest.param(number, mutant, id=f"{number}: {mutant.name}")
        for number, tried in exercises.items()
        for mutant in tried.wrong
    ]


def right(exercises: Mapping[str, Exercise]) -> tuple[str, list[Any]]:
    """The arguments of a parametrize over all right answers."""
    import pytest

    return "exercise, answer", [
        pytest.param(number, answer, id=f"{number}: {at}")
        for number, tried in exercises.items()
        for at, answer in enumerate(tried.right)
    ]
