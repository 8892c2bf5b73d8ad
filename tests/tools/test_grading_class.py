"""A whole class is graded side by side, and nothing twice, whatever is cut off."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook

from tests.tools import small_course
from tests.tools.small_course import LAB
from workshop.grading import judge, reference
from workshop.grading.command import grade
from workshop.grading.course import Course
from workshop.grading.kept import FOLDER
from workshop.grading.pipeline import Pipeline
from workshop.grading.written import alone

pytestmark = pytest.mark.needs_bubblewrap
LEARNERS = [f"learner{number:02}" for number in range(4)]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = small_course.make(tmp_path, monkeypatch)
    for number, learner in enumerate(LEARNERS):
        small_course.hand_in(made, learner, written(number))
    return made


def written(number: int) -> object:
    """A full submission that nobody else has written in the same way."""
    notebook = small_course.full_notebook()
    for cell in notebook.cells:
        if cell.get("id") == "answer-0-1":
            cell.source = f"guess_years = {1000 + number}"
    return notebook


def run(course: Path, *options: str) -> object:
    return CliRunner().invoke(grade, [LAB, "--course", str(course), *options])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every exercise that is run from now on."""
    calls: list[object] = []
    original = judge.grade

    def other(*given: object, **named: object) -> object:
        calls.append(given)
        return original(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(judge, "grade", other)
    return calls


def totals(course: Path) -> list[float]:
    known = reference.read(Course(course).reference_path(LAB))
    pipeline = Pipeline(Course(course))
    return [
        sum(each.score or 0 for each in pipeline.marks(known, learner))
        for learner in LEARNERS
    ]


def test_everybody_is_run_once_and_what_is_known_not_again(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch)
    first = run(course, "--workers", "2")
    assert first.exit_code == 0, first.output
    assert len(calls) == len(LEARNERS)
    assert all(total == 10 for total in totals(course))
    again = run(course)
    assert again.output == first.output
    assert len(calls) == len(LEARNERS)
    # What changed since is run again, and so is a file that was cut off.
    small_course.hand_in(course, LEARNERS[0], written(77))
    cut = sorted((course / FOLDER / LAB).glob("*.json"))[0]
    cut.write_bytes(cut.read_bytes()[:20])
    assert run(course).exit_code == 0
    assert len(calls) in (len(LEARNERS) + 1, len(LEARNERS) + 2)
    before = len(calls)
    assert run(course, "--again").exit_code == 0
    assert len(calls) == before + len(LEARNERS)


def test_what_went_wrong_is_told_in_one_line_a_learner(course: Path) -> None:
    small_course.hand_in(
        course, LEARNERS[1], small_course.answered(answer_0_2="while True: pass")
    )
    ran = run(course, "--workers", "2")
    told = " ".join(ran.output.split("What went wrong")[1].split())
    assert "│ learner01 │ 0.1, 0.3: Nothing is written yet" in told
    assert "│ 0.2: It took longer than 3 s and was stopped" in told
    assert "learner00" not in told
    (course / "submitted" / LEARNERS[1]).rename(course / "gone")
    assert "What went wrong" not in run(course).output


def test_a_mark_that_a_person_gave_is_not_asked_for_again(course: Path) -> None:
    assert run(course).exit_code == 0
    url = Pipeline(Course(course)).directory.db_url
    with Gradebook(url) as gradebook:
        grade = gradebook.find_grade("answer-0-6", LAB, LAB, LEARNERS[0])
        grade.manual_score, grade.needs_manual_grade = 2.0, False
        gradebook.db.commit()
    small_course.hand_in(course, LEARNERS[1], written(55))  # late
    assert run(course).exit_code == 0
    with Gradebook(url) as gradebook:
        grade = gradebook.find_grade("answer-0-6", LAB, LAB, LEARNERS[0])
        assert (grade.manual_score, grade.needs_manual_grade) == (2.0, False)
    # A gradebook that is gone is filled again, whatever was remembered.
    (course / "gradebook.db").unlink()
    assert run(course).exit_code == 0
    assert all(total == 10 for total in totals(course))


def test_two_gradings_do_not_write_at_once(course: Path) -> None:
    with alone(course):
        ran = run(course)
    assert ran.exit_code == 1
    assert "Another `workshop grade` works on" in ran.output
    assert not (course / "gradebook.db").exists()
    assert run(course).exit_code == 0


def test_one_broken_submission_stops_nobody(course: Path) -> None:
    broken = course / "submitted" / LEARNERS[3] / LAB / f"{LAB}.ipynb"
    broken.write_text("{")
    ran = run(course, "--workers", "3")
    assert ran.exit_code == 1
    assert f"{LEARNERS[3]} was not graded." in ran.output.replace("\n", " ")
    (course / "submitted" / LEARNERS[3]).rename(course / "gone")
    assert run(course).exit_code == 0


REAL = "00_preflight"


@pytest.fixture
def real_course(tmp_path: Path) -> Path:
    """A lab of ours: another process can grade it, too."""
    repository = small_course.REPOSITORY
    shutil.copy(repository / "nbgrader_config.py", tmp_path)
    source = tmp_path / "solutions" / REAL
    shutil.copytree(repository / "solutions" / REAL, source)
    for learner in LEARNERS:
        notebook = nbformat.read(source / f"{REAL}.ipynb", as_version=4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        first.source += f"\n# {learner}"
        path = tmp_path / "submitted" / learner / REAL / f"{REAL}.ipynb"
        small_course.write(notebook, path)
    return tmp_path


@pytest.mark.parametrize("part", ["running", "writing"])
def test_killed_in_the_middle_it_goes_on_and_loses_nothing(
    real_course: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    code = "from workshop.cli import main; main()"
    told = ["grade", REAL, "--course", str(real_course), "--workers", "1"]
    running = subprocess.Popen(
        [sys.executable, "-c", code, *told],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    kept = real_course / FOLDER / REAL
    pattern = "*.json" if part == "running" else "written/*"
    until = time.monotonic() + 90
    while len(list(kept.glob(pattern))) < 2 and time.monotonic() < until:
        assert running.poll() is None, "it ended too early"
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = len(list(kept.glob("*.json")))
    assert done >= 2
    calls = counted(monkeypatch)
    ran = CliRunner().invoke(grade, told[1:])
    assert ran.exit_code == 0, ran.output
    assert len(calls) == len(LEARNERS) - done
    assert ran.output.count("learner0") == len(LEARNERS)
    assert "–" not in ran.output
    scores = {
        each.student.id: each.score
        for each in Gradebook(
            Pipeline(Course(real_course)).directory.db_url
        ).assignment_submissions(REAL)
    }
    assert sorted(scores) == LEARNERS
    assert len(set(scores.values())) == 1
