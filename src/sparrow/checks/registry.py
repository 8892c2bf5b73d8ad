"""Find an exercise's check; the lab's module is imported only then."""

import importlib
import re

from sparrow.checks.protocol import Check
from sparrow.errors import CheckError
from sparrow.language import _

__all__ = ["find"]


def find(exercise: str) -> Check:
    """The check of an exercise, such as `2.3`.

    `sparrow.checks.lab02` holds `CHECKS`, a dictionary from number to check.

    Raises:
        CheckError: there is no such exercise.
    """
    number = re.fullmatch(r"(\d{1,2})\.\d{1,2}", exercise)
    if number is None:
        raise CheckError(
            _(
                "{exercise!r} is no exercise: write a number such as 2.3, in quotes.",
                exercise=exercise,
            )
        )
    name = f"sparrow.checks.lab{int(number[1]):02d}"
    try:
        lab = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise CheckError(
            _(
                "There are no checks for lab {lab}: is {exercise} the right number?",
                lab=f"{int(number[1]):02d}",
                exercise=exercise,
            )
        ) from None
    checks: dict[str, Check] = lab.CHECKS
    if exercise not in checks:
        raise CheckError(
            _(
                "There is no check for exercise {exercise}: this lab has {there}.",
                exercise=exercise,
                there=", ".join(sorted(checks)),
            )
        )
    return checks[exercise]
