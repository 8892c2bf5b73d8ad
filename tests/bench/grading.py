"""Grading a class: ours beside nbgrader as it comes, on the same submissions.

nbgrader runs each notebook from its first cell to its last; the checks are plain assert
cells. Ours runs the exercises and the hidden cases, in sandboxes that stay warm.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from tests.bench.measure import Result
from workshop.grading.course import Course

__all__ = ["grade_vs_nbgrader"]

REPOSITORY = Path(__file__).parents[2]
LAB = "02_latent_attention"
LEARNERS, STOCK = 30, 3  # the peer takes one after the other: a few are enough
PAIRS = 3
ASSERT = "assert check({number!r}, {name}).passed"
STOCK_CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "stock"
c.ExecutePreprocessor.timeout = 600
"""


def grade_vs_nbgrader() -> Result:
    """Submissions a minute, from a cold start of each program to the last mark."""
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        mine, stock = Path(folder) / "ours", Path(folder) / "stock"
        _our_course(mine)
        _stock_course(stock)
        for _pair in range(PAIRS):
            ours.append(_seconds(mine, "workshop", "grade", LAB, "--again") / LEARNERS)
            _right_marks(mine)
            peer.append(
                _seconds(stock, "nbgrader", "autograde", LAB, "--force") / STOCK
            )
            _right_marks(stock)
    ratios = [b / a for a, b in zip(ours, peer, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Result(
        name="grade_vs_nbgrader",
        what=f"grading {LEARNERS} submissions of lab 02",
        ours=60 / statistics.median(ours),
        peer=60 / statistics.median(peer),
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        unit="submissions/min",
        peer_name="nbgrader autograde, the checks as assert cells",
        pairs=PAIRS,
        notes={"submissions_of_the_peer": STOCK, "workers": os.cpu_count()},
    )


def _full() -> Any:
    path = REPOSITORY / "solutions" / LAB / f"{LAB}.ipynb"
    return nbformat.read(path, as_version=4)


def _hand_in(course: Path, learner: int, notebook: Any) -> None:
    """Nobody hands in just the same."""
    notebook.cells[0].source += f"\n\nBy learner {learner}."
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source += f"\n# by learner {learner}"
            break
    place = course / "submitted" / f"learner{learner:02}" / LAB / f"{LAB}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(notebook, place)


def _our_course(root: Path) -> None:
    shutil.copytree(REPOSITORY / "solutions" / LAB, root / "solutions" / LAB)
    shutil.copy(REPOSITORY / "nbgrader_config.py", root)
    for learner in range(LEARNERS):
        _hand_in(root, learner, _full())


def _stock_course(root: Path) -> None:
    """The same lab as nbgrader's own users would write it."""
    source = root / "source" / LAB / f"{LAB}.ipynb"
    source.parent.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text(STOCK_CONFIG)
    notebook = _full()
    for cell in notebook.cells:
        about = cell.metadata.get("sparrow", {})
        if about.get("role") == "check":
            cell.source = ASSERT.format(number=about["exercise"], name=about["name"])
    nbformat.write(notebook, source)
    for learner in range(STOCK):
        _hand_in(root, learner, nbformat.from_dict(notebook.copy()))
    _run(root, "nbgrader", "generate_assignment", LAB, "--force")


def _seconds(course: Path, *command: str) -> float:
    started = time.perf_counter()
    _run(course, *command)
    return time.perf_counter() - started


def _run(course: Path, program: str, *arguments: str) -> None:
    here = Path(sys.executable).parent
    path = os.pathsep.join([str(here), os.environ.get("PATH", "")])
    ran = subprocess.run(
        [here / program, *arguments],
        cwd=course,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(
            f"{program} ended with {ran.returncode}: {ran.stderr[-800:]}"
        )


def _right_marks(course: Path) -> None:
    """A grading that gives nobody points is quick, and worth nothing."""
    from nbgrader.api import Gradebook

    name = Course(course).root / "gradebook.db"
    with Gradebook(f"sqlite:///{name}") as gradebook:
        scores = [
            sum(each.auto_score or 0 for each in submission.notebooks[0].grades)
            for submission in gradebook.assignment_submissions(LAB)
        ]
    if not scores or min(scores) < 20:
        raise RuntimeError(f"not everybody got full marks: {scores}")
