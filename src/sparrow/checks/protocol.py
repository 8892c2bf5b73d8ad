"""A check is data: cases, what is expected, and a verdict with the likeliest cause."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sparrow.errors import CheckError
from sparrow.language import _

if TYPE_CHECKING:
    import torch

__all__ = [
    "Case",
    "Check",
    "Plain",
    "Verdict",
    "artefact_in",
    "artefact_of",
    "copied",
    "plain",
    "seed_of",
]

MAX_ARTEFACT_BYTES = 28 * 1024**2  # a message of `sparrow.checks.wire` has room for it

# What may pass between a submission and the grader. Nothing here can carry code.
Plain: TypeAlias = (
    "bool | int | float | str | list[Plain] | dict[str, Plain] | torch.Tensor | None"
)


@dataclass(frozen=True)
class Case:
    """One input of an exercise; `group` earns its share of the points as a whole."""

    name: str
    group: str
    inputs: dict[str, Plain]


@dataclass(frozen=True)
class Verdict:
    """Right or not, and for the learner: what is the likeliest cause."""

    passed: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """How one exercise is judged, in the notebook and in grading alike.

    Args:
        exercise: its number, such as `2.3`.
        solution: `module:symbol` of the library, which raises during grading; None
            if the exercise is no part of the library.
        groups: each group's share of the points. They sum to 1.
        cases: makes the inputs. With `hidden` false they are the ones that a learner
            runs: several sizes, one of them awkward, under five seconds in all.
        expected: the reference result of a case.
        compare: `(case, expected, actual) -> Verdict`. The message never says what
            is expected.
        driver: the name of what applies the learner's object to the inputs, see
            `sparrow.checks.drivers`.
        artefact: a file in the learner's folder that is judged in place of the
            object: every case gets its bytes as `artefact`, or None if it is not
            there. No cell of the learner runs beside it.

    Raises:
        CheckError: the shares do not sum to 1.
    """

    exercise: str
    groups: dict[str, float]
    cases: "Callable[[torch.Generator, bool], list[Case]]"
    expected: Callable[[Case], Plain]
    compare: Callable[[Case, Plain, Plain], Verdict]
    solution: str | None = None
    driver: str = field(default="call")
    artefact: str = ""

    def __post_init__(self) -> None:
        if not math.isclose(sum(self.groups.values()), 1, abs_tol=1e-9):
            raise CheckError(
                _(
                    "The groups of exercise {exercise} share {total} of the points: "
                    "let them sum to 1.",
                    exercise=self.exercise,
                    total=sum(self.groups.values()),
                )
            )


def artefact_of(check: Check, folder: Path | None) -> "dict[str, Plain]":
    """What every case of this check gets beside its inputs: the file, as bytes."""
    import torch

    if not check.artefact:
        return {}
    file = (folder or Path()) / check.artefact
    is_there = folder is not None and file.is_file()
    if not is_there or not 0 < file.stat().st_size <= MAX_ARTEFACT_BYTES:
        return {"artefact": None}
    data = bytearray(file.read_bytes())
    return {"artefact": torch.frombuffer(data, dtype=torch.uint8)}


def artefact_in(inputs: Mapping[str, Any], file: str) -> bytes:
    """The file of a case, for a driver that opens it.

    Raises:
        CheckError: it is not there.
    """
    if inputs["artefact"] is None:
        raise CheckError(
            _("{file} is not there: run the cell that leaves it.", file=file)
        )
    return bytes(inputs["artefact"].numpy().tobytes())


def seed_of(exercise: str, secret: str = "") -> int:
    """The seed of an exercise's cases: public without a secret, hidden with one."""
    digest = hashlib.sha256(f"{secret}\n{exercise}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits


def plain(value: object) -> Plain:
    """Turn what a learner returned into plain data.

    Tuples become lists; dataclasses and named tuples become dictionaries; NumPy
    arrays become tensors.

    Raises:
        CheckError: it holds something that is not data, such as a function.
    """
    import numpy as np
    import torch

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    raise CheckError(
        _(
            "The result holds something of type {type}: return numbers, text, "
            "tensors, or lists and dictionaries of them.",
            type=type(value).__name__,
        )
    )


def copied(value: Plain) -> Plain:
    """A copy that a learner may change in place without changing the case."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, list):
        return [copied(each) for each in value]
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return value
