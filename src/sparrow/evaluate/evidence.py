"""What lab 05 leaves behind: two columns of answers, and what is said of them.

The file holds the texts themselves, so that whoever grades can judge each of them
again instead of believing a number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparrow.errors import CheckpointError
from sparrow.evaluate.samples import examination
from sparrow.language import _
from sparrow.runtime import atomic_write
from sparrow.verify import score

__all__ = ["FILE", "VERDICTS", "Compared", "leave", "read", "right"]

FILE = "05_honest_evaluation.json"
VERDICTS = ("a", "b", "cannot distinguish")
LONGEST = 2000  # characters of a text


@dataclass(frozen=True)
class Compared:
    """One text of each of two models for each question, and a claim about them."""

    a: list[str]
    b: list[str]
    said: dict[str, Any]


def leave(
    path: Path, *, a: Sequence[str], b: Sequence[str], said: Mapping[str, Any]
) -> Path:
    """Write both columns, and `said`: difference, low, high, p_value and verdict."""
    told = {"a": list(a), "b": list(b), "said": dict(said)}
    with atomic_write(path) as file:
        file.write(json.dumps(told).encode())
    return path


def read(data: bytes) -> Compared:
    """Open what a learner handed in; nothing in it is believed.

    Raises:
        CheckpointError: it is no such file, or a question has no answer.
    """
    try:
        told = json.loads(data)
        columns, said = [told["a"], told["b"]], told["said"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged() from error
    questions = len(examination("countdown"))
    for column in columns:
        is_column = isinstance(column, list) and len(column) == questions
        if not is_column or not all(
            isinstance(text, str) and len(text) <= LONGEST for text in column
        ):
            raise _damaged()
    if not isinstance(said, dict):
        raise _damaged()
    return Compared(columns[0], columns[1], said)


def right(texts: Sequence[str]) -> list[bool]:
    """Which questions of the examination these texts answer."""
    return [
        score(problem, text).correctness == 1
        for problem, text in zip(examination("countdown"), texts, strict=True)
    ]


def _damaged() -> CheckpointError:
    return CheckpointError(
        _(
            "{file} does not hold two texts for each question: run the cell again that "
            "leaves it.",
            file=FILE,
        )
    )
