"""Run an exercise's public cases in the notebook, and show how they went."""

import inspect
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sparrow.checks import display, drivers, library
from sparrow.checks.failures import TooSlow, in_one_sentence
from sparrow.checks.judging import Answer, Outcome, judge
from sparrow.checks.protocol import Case, Check, Plain, artefact_of, seed_of
from sparrow.checks.registry import find
from sparrow.runtime import home_folder

__all__ = ["Result", "check", "files_of", "on_check", "on_pass", "run_public"]

SECONDS = 5.0  # a check that makes people wait is a check that they do not run
FILE_SECONDS = 60.0  # a file that a lab leaves is measured again, once

# Called with every outcome that a learner has seen; `sparrow.lab` may tell the board.
on_check: list[Callable[[Outcome], None]] = []
# Called with (exercise, object) when a check passes; `sparrow.lab` keeps the work.
on_pass: list[Callable[[str, Any], None]] = []


class Result:
    """What `check` answers; it has been shown already, so a notebook adds nothing."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    @property
    def passed(self) -> bool:
        """Every group is right."""
        return self.outcome.passed

    @property
    def points_frac(self) -> float:
        """The share of the points that these cases would earn, from 0 to 1."""
        return self.outcome.points_frac

    def __repr__(self) -> str:
        return f"<{self.outcome.exercise}: {self.points_frac:.0%}>"

    def _ipython_display_(self) -> None:
        """Stay silent as the last line of a cell."""


def check(exercise: str, learner_object: Any, /) -> Result:
    """Try your work on a few cases, and show which groups of them are right.

    Args:
        exercise: its number, such as `"2.3"`.
        learner_object: your function, or your value.

    Returns:
        A result with `.passed` and `.points_frac`. Grading uses other cases.

    Raises:
        CheckError: there is no such exercise.
    """
    outcome = run_public(find(exercise), learner_object)
    display.show(outcome)
    for tell in on_check:
        tell(outcome)
    if outcome.passed:
        for each in on_pass:
            each(exercise, learner_object)
    return Result(outcome)


def run_public(
    checked: Check, learner_object: Any, seconds: float = SECONDS
) -> Outcome:
    """Run the public cases of a check in this process, all within `seconds`.

    A file that the lab left may take longer.
    """
    import torch

    generator = torch.Generator().manual_seed(seed_of(checked.exercise))
    with library.as_written():
        cases = checked.cases(generator, False)
    answers: list[Answer] = []
    shared = artefact_of(checked, home_folder())
    try:
        with time_limit(FILE_SECONDS if checked.artefact else seconds):
            for case in cases:
                answers.append(_answer(checked, case, learner_object, shared))
    except TooSlow as error:
        rest = len(cases) - len(answers)
        answers += [Answer(failure=in_one_sentence(error, ()))] * rest
    return judge(checked, cases, answers)


def _answer(
    checked: Check, case: Case, learner_object: Any, shared: dict[str, Plain]
) -> Answer:
    inputs = {**case.inputs, **shared}
    try:
        return Answer(drivers.drive(checked.driver, learner_object, inputs))
    except (KeyboardInterrupt, TooSlow):
        raise
    except BaseException as error:  # SystemExit too: it must not close the notebook
        return Answer(failure=in_one_sentence(error, files_of(learner_object)))


def files_of(learner_object: Any) -> set[str]:
    """Where tracebacks say that this object was written."""
    unwrapped = inspect.unwrap(learner_object) if callable(learner_object) else None
    code = getattr(unwrapped, "__code__", None)
    if isinstance(code, types.CodeType):
        return {code.co_filename}
    found = set()
    for each in vars(learner_object).values() if unwrapped else ():
        inner = getattr(each, "__code__", None)
        if isinstance(inner, types.CodeType):
            found.add(inner.co_filename)
    return found


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block when the time is up, where the system can.

    Windows has no such signal, and other threads do not get it: there the block runs
    to its end.
    """
    can_stop = sys.platform != "win32" and (
        threading.current_thread() is threading.main_thread()
    )
    if not can_stop:
        yield
        return

    def stop(_number: int, _frame: types.FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
