"""The same attacks on every exercise of every lab: no points, and no harm."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from sparrow.checks import find
from sparrow.checks.judging import Outcome
from tests.tools.small_course import REPOSITORY
from workshop.grading import judge, reference
from workshop.grading.course import Course
from workshop.sandbox import Box

pytestmark = pytest.mark.needs_bubblewrap

SECRET = "another secret"
LABS = {
    lab: reference.read(Course(REPOSITORY).reference_path(lab))
    for lab in Course(REPOSITORY).labs()
}
BUILT = [
    (lab, exercise.number)
    for lab, read in LABS.items()
    for exercise in read.exercises
    if exercise.solution
]

# {name} is the function, {module} and {symbol} its place in the library.
ATTACKS = {
    "asks the library": "from {module} import {symbol} as {name}",
    "asks for the check's own reference": """
import sparrow.checks as checks
def {name}(*given, **more):
    from sparrow.checks import find
    return find("{number}").expected(more)
""",
    "says yes to everything": """
import torch
class Yes(float):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __hash__ = None
torch.allclose = torch.equal = lambda *given, **more: True
def {name}(*given, **more):
    return Yes(0)
""",
    "leaves at once": """
import os
def {name}(*given, **more):
    os._exit(0)
""",
    "writes an answer of its own": """
import os
def {name}(*given, **more):
    for number in range(3, 64):
        try:
            os.write(number, b"passed" * 99)
        except OSError:
            pass
    return None
""",
    "takes all memory": """
def {name}(*given, **more):
    return bytearray(1 << 40)
""",
}


@pytest.fixture
def grade(box: Box) -> Callable[..., Outcome]:
    """Grade one source as the answer to one exercise."""

    def graded(lab: str, number: str, source: str) -> Outcome:
        read = LABS[lab]
        limits = dataclasses.replace(read.limits, seconds=20.0)
        patient = dataclasses.replace(read, limits=limits)
        exercise = next(each for each in read.exercises if each.number == number)
        answers = {exercise.answer_id: source}
        return judge.grade_exercise(box, patient, exercise, answers, [source], SECRET)

    return graded


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("lab", "number"), BUILT)
def test_no_attack_earns_a_point(
    grade: Callable[..., Outcome], lab: str, number: str, attack: str
) -> None:
    exercise = next(each for each in LABS[lab].exercises if each.number == number)
    assert exercise.solution is not None
    module, symbol = exercise.solution.split(":")
    owner, _dot, method = symbol.rpartition(".")
    source = ATTACKS[attack].format(
        name=exercise.name,
        module=module,
        symbol=owner or method,
        number=number,
    )
    assert grade(lab, number, source).points_frac == 0


def test_every_lab_that_builds_is_attacked() -> None:
    assert {lab for lab, _number in BUILT} >= {
        "01_tokens",
        "02_latent_attention",
        "03_experts",
        "04_pretraining",
        "05_honest_evaluation",
        "06_cold_start",
        "07_grpo",
        "08_distillation",
        "09_quantization",
        "10_serving",
    }


# ---- the files that labs leave ----


def pickled() -> bytes:
    import pickle

    return pickle.dumps({"alone": [1.0]})


FILES = {
    "empty": b"",
    "a pickle": pickled(),
    "noise": bytes(range(256)) * 64,
    "a header of 2^60 bytes": (1 << 60).to_bytes(8, "little") + b"{}",
    "tensors without a word": save({"alone.a": torch.ones(3)}),
    "words that are no JSON": save({"a": torch.ones(1)}, {"evidence": "{"}),
    "words of another kind": save({"a": torch.ones(1)}, {"evidence": "[1]"}),
    "a claim without models": save(
        {"alone.a": torch.ones(1), "resumed.a": torch.ones(1)},
        {
            "evidence": '{"config": {}, "length": 64, "others": 0, '
            '"losses": {"alone": [1], "resumed": [1]}, '
            '"claim": {"mean": 1, "low": 0, "high": 2}}'
        },
    ),
    "a claim without a model": save(
        {"model.a": torch.ones(1)},
        {
            "evidence": '{"config": {"hidden_size": 1e9}, "recipe": {"seed": 1}, '
            '"rewards": [], "matrices": {}, "work": {"written": 1, "learned": 1}, '
            '"claim": {"gain": 1, "low": 1, "high": 1}}'
        },
    ),
    "endless texts": b'{"a": ["' + b"9" * 4_000_000 + b'"], "b": [], "said": {}}',
    "deep brackets": b"[" * 100_000,
    "a cut file": save({"alone.a": torch.ones(500)})[:900],
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "lab",
    [
        "04_pretraining",
        "05_honest_evaluation",
        "06_cold_start",
        "07_grpo",
        "08_distillation",
        "09_quantization",
    ],
)
def test_a_hostile_file_earns_nothing_and_stops_nobody(
    box: Box, tmp_path: Path, lab: str, name: str
) -> None:
    read = LABS[lab]
    exercise = next(
        each for each in read.exercises if each.check_id and find(each.number).artefact
    )
    file = find(exercise.number).artefact
    assert file is not None
    (tmp_path / file).write_bytes(FILES[name])
    answers = {exercise.answer_id: "claim = {'mean': 1.0, 'low': 0.5, 'high': 1.5}"}
    outcome = judge.grade_exercise(box, read, exercise, answers, [], SECRET, tmp_path)
    assert outcome.points_frac == 0
    assert all(each.message for each in outcome.groups)
