"""Run the submissions of a whole class side by side, each worker in its own sandbox.

What comes of it is kept. nbgrader then walks through the class one by one, as only one
may write the gradebook, and finds every outcome there.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

import nbformat

from sparrow.checks.judging import Outcome
from sparrow.errors import SparrowError
from workshop.grading import judge
from workshop.grading.kept import Answered, Kept
from workshop.grading.reference import Reference
from workshop.grading.submission import examine
from workshop.sandbox import Box

__all__ = ["run_ahead"]


def run_ahead(
    kept: Kept,
    lab: Reference,
    submissions: Mapping[str, Path],
    *,
    secret: str,
    released: Mapping[str, str],
    boxes: list[Box],
    tell: Callable[[str], None],
) -> dict[str, dict[str, Outcome]]:
    """Grade what is not known yet; a submission that fails is left for later.

    Args:
        kept: what is known, and grows.
        lab: the lab.
        submissions: learner -> the folder that was handed in.
        secret: what hidden cases are drawn from.
        released: grade_id -> the source that learners were given.
        boxes: one for each worker.
        tell: told each learner's name when they are done.

    Returns:
        Learner -> exercise -> outcome, but for those that failed.
    """
    free: SimpleQueue[Box] = SimpleQueue()
    for box in boxes:
        free.put(box)

    def grade(folder: Path) -> dict[str, Outcome]:
        examine(folder, lab.lab)
        notebook = nbformat.read(folder / f"{lab.lab}.ipynb", as_version=4)
        answered = Answered.of(notebook, folder)
        if (known := kept.find(answered)) is not None:
            return known
        box = free.get()
        try:
            outcomes = judge.grade(
                box,
                lab,
                answered.answers,
                answered.others,
                secret,
                released,
                folder,
            )
        finally:
            free.put(box)
        kept.keep(answered, outcomes)
        return outcomes

    found = {}
    with ThreadPoolExecutor(len(boxes)) as pool:
        waiting = {pool.submit(grade, path): name for name, path in submissions.items()}
        for done in as_completed(waiting):
            error = done.exception()
            # What is wrong with a submission is said when its turn comes.
            if error is None:
                found[waiting[done]] = done.result()
            elif not isinstance(error, SparrowError | ValueError):
                raise error
            tell(waiting[done])
    return found
