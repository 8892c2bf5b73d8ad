"""Grading on a disk that is full says so, and goes on when there is space again."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.small_disk import fill, small_disk
from tests.tools import small_course
from tests.tools.small_course import LAB
from workshop.grading import reference
from workshop.grading.command import grade
from workshop.grading.course import Course
from workshop.grading.pipeline import Pipeline

pytestmark = [pytest.mark.needs_bubblewrap, pytest.mark.needs_mount]
LEARNERS = ("aida", "zoe")


def test_a_full_disk_is_one_sentence_and_no_mark_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "course", 4096) as course:
        small_course.make(course, monkeypatch)
        for number, learner in enumerate(LEARNERS):
            notebook = small_course.full_notebook()
            notebook.cells[0].source += f" {number}"
            small_course.hand_in(course, learner, notebook)
        refused = [
            but_kib
            for but_kib in (0, 32, 160, 400)  # no lock; no gradebook; not all marks
            if not is_graded_with(course, but_kib)
        ]
        assert refused[:2] == [0, 32]
        assert run(course).exit_code == 0
        lab = reference.read(Course(course).reference_path(LAB))
        pipeline = Pipeline(Course(course))
        for learner in LEARNERS:
            assert sum(each.score or 0 for each in pipeline.marks(lab, learner)) == 10


def is_graded_with(course: Path, but_kib: int) -> bool:
    """Grade on a disk that is full but for so much; if it fails, one sentence says why.

    How much is needed depends on what earlier tries have written.
    """
    filler = fill(course, but_kib=but_kib)
    ran = run(course)
    filler.unlink()
    assert isinstance(ran.exception, SystemExit | None), ran.exception
    assert "Traceback" not in ran.output
    if ran.exit_code == 0:
        return True
    assert ran.exit_code == 1
    said = " ".join(ran.output.split())
    assert "No space left" in said or "is full: free some space" in said, said
    return False


def run(course: Path) -> Result:
    line = [LAB, "--course", str(course), "--workers", "1"]
    return CliRunner().invoke(grade, line)
