"""One warm sandbox for all evil tests: what one leaves behind, the next meets."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from sparrow.checks.judging import Outcome
from tests.tools import small_course
from workshop.grading import judge, reference
from workshop.sandbox import Box

PATIENT_S = 20.0  # a busy machine must not look like an attack
SECRET = "a secret that no submission knows"


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    with Box() as warm:
        yield warm


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> reference.Reference:
    path = tmp_path_factory.mktemp("lab") / "full.ipynb"
    limits = {"memory_gib": 0.5, "processes": 16, "file_mib": 16}
    small_course.write(small_course.full_notebook(limits), path)
    return reference.read(path)


@pytest.fixture
def grade(box: Box, lab: reference.Reference) -> Iterator[Callable[..., Outcome]]:
    """Grade the source of exercise 0.2; afterwards an honest answer must still pass."""
    exercise = next(each for each in lab.exercises if each.number == "0.2")

    def graded(source: str, seconds: float = PATIENT_S) -> Outcome:
        limits = dataclasses.replace(lab.limits, seconds=seconds)
        patient = dataclasses.replace(lab, limits=limits)
        answers = {"answer-0-2": source}
        return judge.grade_exercise(box, patient, exercise, answers, [source], SECRET)

    yield graded
    assert graded(small_course.EFFORT).passed, "the next submission was harmed"
