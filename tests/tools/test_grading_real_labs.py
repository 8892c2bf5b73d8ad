"""The labs as they are committed: full marks for the solution, none for the stub."""

import shutil
import warnings

import pytest
from click.testing import CliRunner

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


def notebook_of(root, folder, lab):
    return root / folder / lab / f"{lab}.ipynb"


@pytest.fixture
def course(tmp_path):
    shutil.copy(REPOSITORY / "nbgrader_config.py", tmp_path)
    for lab in LABS:
        shutil.copytree(REPOSITORY / "solutions" / lab, tmp_path / "solutions" / lab)
    return Course(tmp_path)


@pytest.mark.needs_bubblewrap
@pytest.mark.parametrize("lab", LABS)
def test_the_solution_gets_full_marks_and_the_stub_none(course, lab):
    for learner, folder in (("solution", "solutions"), ("stub", "labs")):
        place = course.root / "submitted" / learner / lab
        place.mkdir(parents=True)
        shutil.copy(notebook_of(REPOSITORY, folder, lab), place)
    ran = CliRunner().invoke(grade, [lab, "--course", str(course.root)])
    assert ran.exit_code == 0, ran.output
    known, pipeline = reference.read(course.reference_path(lab)), Pipeline(course)
    full = [each.points if each.check_id else None for each in known.exercises]
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
