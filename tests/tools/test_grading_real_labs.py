"""The labs as they are committed: full marks for the solution, none for the stub."""

import shutil
import statistics
import warnings

import pytest
import torch
from click.testing import CliRunner

from sparrow import Config
from sparrow.data import prose
from sparrow.evaluate import evidence as compared
from sparrow.evaluate import paired, samples
from sparrow.text import bpe, claims, languages
from sparrow.train import evidence
from sparrow.train.loop import pretrain
from sparrow.train.recipe import Recipe
from tests.tools.small_course import REPOSITORY
from workshop.grading import reference
from workshop.grading.command import grade
from workshop.grading.course import Course
from workshop.grading.pipeline import Pipeline

LABS = [
    lab
    for lab in Course(REPOSITORY).labs()
    if reference.read(Course(REPOSITORY).reference_path(lab)).exercises
]


# What these leave takes minutes of training; tests/unit has smaller ones of it.
TAKES_LONG = {
    "06_cold_start": "6.7",
    "07_grpo": "7.7",
    "08_distillation": "8.7",
    "09_quantization": "9.7",
}


def notebook_of(root, folder, lab):
    return root / folder / lab / f"{lab}.ipynb"


@pytest.fixture
def course(tmp_path):
    shutil.copy(REPOSITORY / "nbgrader_config.py", tmp_path)
    for lab in LABS:
        shutil.copytree(REPOSITORY / "solutions" / lab, tmp_path / "solutions" / lab)
    return Course(tmp_path)


def leave_artefacts(lab, place):
    """What a learner's own runs would have left."""
    if lab == "01_tokens":
        leave_tokens(place)
    if lab == "04_pretraining":
        leave_runs(place)
    if lab == "05_honest_evaluation":
        leave_comparison(place)


def leave_comparison(place):
    """Two samples a question of a model that travels with the library."""
    texts = samples.shipped("pico-cold-start", "countdown").texts
    columns = [[row[at] for row in texts] for at in (0, 1)]
    right = [compared.right(each) for each in columns]
    found = paired.paired_difference(*right, generator=torch.Generator())
    said = {
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "p_value": paired.mcnemar(*right).p_value,
        "verdict": "cannot distinguish",
    }
    compared.leave(place / compared.FILE, a=columns[0], b=columns[1], said=said)


def leave_tokens(place):
    """A vocabulary learned from a little prose, and the tax of Zulu."""
    text = "\n".join(prose.documents(30_000, held_out=False))
    learned = bpe.train(text.encode(), 263 + 250)
    tax = languages.tax(lambda name: bpe.encode(name.encode(), learned), "zu")
    said = {"ratio": tax.estimate, "low": tax.low, "high": tax.high}
    claims.leave(place / claims.FILE, learned, "zu", said)


def leave_runs(place):
    """Three seeds of a tiny model."""
    config = Config.preset("pico").replace(
        hidden_size=48, num_hidden_layers=2, num_nextn_predict_layers=0
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model is slower with two
    runs = [place.parent / f"run{seed}" for seed in range(3)]
    for seed, run in enumerate(runs):
        recipe = Recipe(
            model=config,
            **{"seed": seed, "steps": 60, "batch_size": 8, "length": 64},
            **{"corpus_mb": 0.2, "warmup_steps": 5, "evaluate_every_steps": 0},
        )
        pretrain(recipe, run)
    bits = [evidence.bits_of_run(run) for run in runs]
    torch.set_num_threads(threads)
    mean = statistics.mean(bits)
    half = 4.303 * statistics.stdev(bits) / 3**0.5
    evidence.leave(
        place / evidence.FILE,
        alone=runs[0],
        resumed=runs[0],
        others=runs[1:],
        claim={"mean": mean, "low": mean - half, "high": mean + half},
    )


@pytest.mark.needs_bubblewrap
@pytest.mark.parametrize("lab", LABS)
def test_the_solution_gets_full_marks_and_the_stub_none(course, lab):
    for learner, folder in (("solution", "solutions"), ("stub", "labs")):
        place = course.root / "submitted" / learner / lab
        place.mkdir(parents=True)
        shutil.copy(notebook_of(REPOSITORY, folder, lab), place)
    leave_artefacts(lab, course.root / "submitted" / "solution" / lab)
    ran = CliRunner().invoke(grade, [lab, "--course", str(course.root)])
    assert ran.exit_code == 0, ran.output
    known, pipeline = reference.read(course.reference_path(lab)), Pipeline(course)
    full = [
        (each.points if each.number != TAKES_LONG.get(lab) else 0.0)
        if each.check_id
        else None
        for each in known.exercises
    ]
    assert [each.score for each in pipeline.marks(known, "solution")] == full
    assert {each.score for each in pipeline.marks(known, "stub")} == {0}


@pytest.mark.parametrize("lab", LABS)
def test_generate_assignment_makes_what_is_committed(course, lab):
    from nbgrader.converters import GenerateAssignment

    pipeline = Pipeline(course)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline._convert(GenerateAssignment, lab, ".")
    made = notebook_of(course.root, "labs", lab).read_bytes()
    assert made == notebook_of(REPOSITORY, "labs", lab).read_bytes()
