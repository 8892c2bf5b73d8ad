"""Grade the exercises of one notebook: cases in, answers out, verdicts here."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from sparrow.checks import find
from sparrow.checks.judging import Answer, Outcome, judge
from sparrow.checks.protocol import Case, Check, Plain, artefact_of, seed_of
from sparrow.errors import CheckError
from sparrow.language import _
from workshop.grading.reference import Exercise, Reference
from workshop.sandbox import Box, Job

__all__ = ["grade", "grade_exercise"]

MAX_SOURCE_CHARACTERS = 1_000_000


def grade(
    box: Box,
    reference: Reference,
    answers: Mapping[str, str],
    others: Sequence[str],
    secret: str,
    released: Mapping[str, str],
    folder: Path | None = None,
) -> dict[str, Outcome]:
    """Grade every exercise that has a check.

    Args:
        box: where the submission runs.
        reference: the lab.
        answers: grade_id of an answer cell -> its source.
        others: the sources of all code cells, for the imports in them.
        secret: what the hidden cases are drawn from.
        released: grade_id -> the source that learners were given. A cell that is
            still the same earns nothing, even where a part of it happens to be right.
        folder: the submission, with the files that the lab left.

    Returns:
        Exercise number -> outcome; an exercise without a check is left out.
    """
    outcomes = {}
    for exercise in reference.exercises:
        if exercise.check_id is None:
            continue
        answer = answers.get(exercise.answer_id, "").strip()
        if answer and answer == released.get(exercise.answer_id, "").strip():
            why = _("Nothing is written yet: the cell is as you got it.")
            outcomes[exercise.number] = _nothing(*_drawn(exercise.number, secret), why)
        else:
            outcomes[exercise.number] = grade_exercise(
                box, reference, exercise, answers, others, secret, folder
            )
    return outcomes


def grade_exercise(
    box: Box,
    reference: Reference,
    exercise: Exercise,
    answers: Mapping[str, str],
    others: Sequence[str],
    secret: str,
    folder: Path | None = None,
) -> Outcome:
    """Grade one exercise in a fresh process of its own."""
    check, cases = _drawn(exercise.number, secret)
    if exercise.answer_id not in answers:
        return _nothing(check, cases, _("The answer cell is gone."))
    chain = [e for e in reference.chain(exercise) if e.answer_id in answers]
    cells = [(each.answer_id, answers[each.answer_id]) for each in chain]
    if sum(len(source) for _id, source in cells) > MAX_SOURCE_CHARACTERS:
        return _nothing(check, cases, _("The answer cell is too long to be graded."))
    if sum(map(len, others)) > MAX_SOURCE_CHARACTERS:
        others = ()
    if check.artefact:
        # The file is what counts. No cell runs beside it, so none can bend the measure.
        cells, others = [(exercise.answer_id, f"{exercise.name} = None")], ()
    solution = exercise.solution or check.solution
    job = Job(
        cells=cells,
        name=exercise.name,
        driver=check.driver,
        inputs=[case.inputs for case in cases],
        imports_from=list(others),
        disable=[solution] if solution else [],
        shared=artefact_of(check, folder),
    )
    return judge(check, cases, box.run(job, reference.limits).answers)


def _nothing(check: Check, cases: Sequence[Case], why: str) -> Outcome:
    return judge(check, cases, [Answer(failure=why)] * len(cases))


@functools.lru_cache(maxsize=64)
def _drawn(number: str, secret: str) -> tuple[Check, tuple[Case, ...]]:
    """The check and its hidden cases; references are computed once for everybody."""
    check = find(number)
    generator = torch.Generator().manual_seed(seed_of(number, secret))
    cases = tuple(check.cases(generator, True))
    if strangers := {case.group for case in cases} - set(check.groups):
        raise CheckError(
            _(
                "Exercise {exercise} has cases of an unknown group: {group}.",
                exercise=number,
                group=", ".join(sorted(strangers)),
            )
        )
    known: dict[int, Plain] = {}

    def expected(case: Case) -> Plain:
        key = next((at for at, each in enumerate(cases) if each is case), -1)
        if key < 0:
            return check.expected(case)
        if key not in known:
            known[key] = check.expected(case)
        return known[key]

    return dataclasses.replace(check, expected=expected), cases
