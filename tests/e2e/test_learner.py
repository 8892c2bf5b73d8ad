"""A learner solves a lab in a browser and hands it in; others hand in more, or less."""

import getpass
import hashlib
import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

from tests.e2e import lab_server
from tests.e2e.lab_server import errors_of, text_of
from workshop.grading import reference
from workshop.grading.course import Course
from workshop.grading.pipeline import Pipeline

LAB, EXERCISE, NAME, WRITTEN = "02_latent_attention", "2.2", "rms_norm", "2.8"
CALL = "rms_norm(torch.ones(1, 2), torch.ones(2), 1e-6)"
# Right for ordinary vectors; it forgets small ones and half precision.
HALF_RIGHT = """import torch


def rms_norm(x, weight, eps):
    return weight * x / x.pow(2).mean(dim=-1, keepdim=True).sqrt()
"""
pytestmark = [pytest.mark.needs_chromium, pytest.mark.needs_bubblewrap]


@pytest.fixture
def checkout(tmp_path):
    return lab_server.copy_checkout(tmp_path / "checkout")


def notebook_of(checkout, folder):
    return json.loads((checkout / folder / LAB / f"{LAB}.ipynb").read_text("utf-8"))


def answer_id(number):
    return f"answer-{number.replace('.', '-')}"


def source_of(notebook, cell_id):
    [cell] = [each for each in notebook["cells"] if each["id"] == cell_id]
    return "".join(cell["source"])


def shown(notebook, cell_id):
    """What the cell showed, in the saved file."""
    [cell] = [each for each in notebook.cells() if each["id"] == cell_id]
    return text_of(cell)


def hand_in_file(checkout, learner, notebook):
    """What `lab.submit()` leaves, without the browser."""
    place = checkout / "submitted" / learner / LAB
    place.mkdir(parents=True)
    (place / f"{LAB}.ipynb").write_text(json.dumps(notebook), "utf-8")


def meet_the_stub(notebook):
    """Run everything: the checks say that nothing is written, and nothing breaks."""
    notebook.run_all()
    assert errors_of(notebook.cells()) == []
    assert "Not written yet" in shown(notebook, "check-2-2")
    check = notebook.cell(f'check("{EXERCISE}", {NAME})')
    check.get_by_text("Not written yet").first.wait_for()
    notebook.picture("learner-1-stub")
    check.locator(".cm-content").click()
    notebook.add_below(CALL)
    notebook.run_this()
    failed = notebook.cell(CALL)
    failed.get_by_text("Exercise 2.2: write rms_norm").last.wait_for()
    assert "NotImplementedError" in failed.inner_text()
    notebook.picture("learner-2-error")


def solve(notebook, solution):
    """Write the solution in place of the stub; the check passes."""
    notebook.write(f"def {NAME}", solution)
    notebook.run_this()
    notebook.run_this()  # the check is the next cell
    check = notebook.cell(f'check("{EXERCISE}", {NAME})')
    check.get_by_text(f"Exercise {EXERCISE} passes.").wait_for()
    notebook.picture("learner-3-passes")


def submit(notebook):
    """Save, then hand in from a new cell at the end."""
    notebook.cell("Save (Ctrl + S), then run").click()
    notebook.add_below("lab.submit()")
    notebook.save()
    notebook.run_this()
    last = notebook.cell("lab.submit()Handed in")
    last.get_by_text("Handed in. Your receipt:").wait_for()
    notebook.picture("learner-4-receipt")


def grade(checkout):
    """Run `workshop grade` as an instructor does; each learner's marks."""
    workshop = Path(sys.executable).with_name("workshop")
    graded = subprocess.run(
        [workshop, "grade", LAB, "--feedback"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert graded.returncode == 0, graded.stdout + graded.stderr
    print(graded.stdout)
    course = Course(checkout)
    known = reference.read(course.reference_path(LAB))
    return lambda learner: {
        each.exercise: each for each in Pipeline(course).marks(known, learner)
    }


def test_a_learner_goes_from_the_stub_to_a_graded_solution(checkout, page):
    full, stub = (notebook_of(checkout, each) for each in ("solutions", "labs"))
    with lab_server.opened(checkout) as server:
        notebook = server.open(page, f"labs/{LAB}/{LAB}.ipynb")
        meet_the_stub(notebook)
        solve(notebook, source_of(full, answer_id(EXERCISE)))
        submit(notebook)
    assert page.foreign == []

    learner = getpass.getuser()
    place = checkout / "submitted" / learner / LAB
    receipt = json.loads((place / "receipt.json").read_text("utf-8"))
    handed_in = (place / f"{LAB}.ipynb").read_bytes()
    assert receipt["sha256"][f"{LAB}.ipynb"] == hashlib.sha256(handed_in).hexdigest()

    hand_in_file(checkout, "stub", stub)
    hand_in_file(checkout, "solution", full)
    half = deepcopy(stub)
    for cell in half["cells"]:
        if cell["id"] == answer_id(EXERCISE):
            cell["source"] = HALF_RIGHT
    hand_in_file(checkout, "half", half)

    marks = grade(checkout)
    solution = marks("solution")
    assert solution.pop(WRITTEN).score is None  # it waits for a person
    assert {each.score / each.points for each in solution.values()} == {1}
    assert {each.score for each in marks("stub").values()} == {0}
    assert 0 < marks("half")[EXERCISE].score < marks("half")[EXERCISE].points
    assert marks(learner)[EXERCISE].score == marks(learner)[EXERCISE].points
    others = [each for n, each in marks(learner).items() if n != EXERCISE]
    assert {each.score for each in others} == {0}
    for each in (learner, "stub", "solution", "half"):
        assert (checkout / "feedback" / each / LAB / f"{LAB}.html").is_file()
    page.goto((checkout / "feedback/half" / LAB / f"{LAB}.html").as_uri())
    page.get_by_text("1.5 of 3 points").scroll_into_view_if_needed()
    page.screenshot(path=lab_server.SCREENSHOTS / "learner-5-feedback.png")
