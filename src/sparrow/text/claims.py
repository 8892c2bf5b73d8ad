"""What lab 01 leaves behind: a vocabulary, a language, and what the learner claims.

The file holds the joins themselves, so that whoever grades can count again instead of
believing a number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.runtime import atomic_write
from sparrow.text import bpe

__all__ = ["FILE", "Claim", "leave", "read"]

FILE = "01_tokens.json"
MOST_JOINS = 20_000
LONGEST = 200  # bytes of a token


@dataclass(frozen=True)
class Claim:
    """A vocabulary that can be tried, and what was said of it."""

    vocabulary: bpe.Vocabulary
    language: str
    said: dict[str, Any]


def leave(
    path: Path, vocabulary: bpe.Vocabulary, language: str, said: Mapping[str, Any]
) -> Path:
    """Write the joins, the language's code, and `said`: ratio, low and high."""
    joins = [[*pair, new] for pair, new in vocabulary.merges.items()]
    told = {"joins": joins, "language": language, "said": dict(said)}
    with atomic_write(path) as file:
        file.write(json.dumps(told).encode())
    return path


def read(data: bytes) -> Claim:
    """Open what a learner handed in; nothing in it is believed.

    Raises:
        CheckpointError: it is no such file, or its joins make no vocabulary.
    """
    try:
        told = json.loads(data)
        joins, language, said = told["joins"], told["language"], told["said"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged() from error
    right_kinds = isinstance(joins, list) and isinstance(said, dict)
    if not right_kinds or not isinstance(language, str) or len(joins) > MOST_JOINS:
        raise _damaged()
    vocabulary = bpe.Vocabulary(tokens=bpe.alphabet())
    for each in joins:
        _add(vocabulary, each)
    return Claim(vocabulary, language, said)


def _add(vocabulary: bpe.Vocabulary, joined: Any) -> None:
    """One more join, if both of its parts are there and the new one spells them."""
    is_triple = isinstance(joined, list) and len(joined) == 3
    if not is_triple or not all(type(each) is int for each in joined):
        raise _damaged()
    first, second, new = joined
    tokens = vocabulary.tokens
    if (
        first not in tokens
        or second not in tokens
        or (first, second) in (vocabulary.merges)
    ):
        raise _damaged()
    spelled = tokens[first] + tokens[second]
    if len(spelled) > LONGEST or tokens.get(new, spelled) != spelled:
        raise _damaged()
    tokens[new] = spelled
    vocabulary.merges[first, second] = new


def _damaged() -> CheckpointError:
    return CheckpointError(
        _("{file} is damaged: run the cell again that leaves it.", file=FILE)
    )
