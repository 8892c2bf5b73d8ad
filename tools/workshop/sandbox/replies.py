"""Read what comes out of the sandbox as if an attacker had written every byte."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sparrow.checks import wire
from sparrow.checks.judging import Answer
from sparrow.checks.protocol import Plain
from sparrow.errors import WireError
from sparrow.language import _
from workshop.sandbox.limits import Limits

__all__ = ["Reply", "read"]

LENGTH = struct.Struct(">I")
LONGEST_FAILURE = 600  # characters


@dataclass(frozen=True)
class Reply:
    """One answer for each input, and how the run ended.

    `ended` is `done`, `time`, `memory`, `output` or `broken`.
    """

    answers: list[Answer]
    ended: str


def read(data: bytes, ended: str, n: int, limits: Limits) -> Reply:
    """Turn bytes into `n` answers; whatever is missing or strange is a failure.

    Args:
        data: what came through the pipe.
        ended: how the run ended.
        n: how many answers are due.
        limits: what the run was allowed, for the sentences.
    """
    frames = _frames(data)
    head = next(frames, None)
    failure = _failure_of(head) if head is not None else ""
    answers: list[Answer] = []
    if head is not None and not failure:
        for frame in frames:
            if len(answers) == n:
                break
            answers.append(_answer(frame))
    missing = Answer(failure=failure or _why_missing(ended, limits))
    answers += [missing] * (n - len(answers))
    return Reply(answers, "done" if ended == "stopped" else ended)


def _frames(data: bytes) -> Iterator[bytes]:
    """Each message in turn; the rest of damaged bytes is silence."""
    at = 0
    while at + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length


def _answer(frame: bytes) -> Answer:
    try:
        found = wire.decode(frame)
    except WireError as error:
        return Answer(failure=str(error))
    if not isinstance(found, dict) or "value" not in found:
        return Answer(failure=_failure_text(found))
    if found.get("failure"):
        return Answer(failure=_failure_text(found))
    return Answer(value=found["value"])


def _failure_of(frame: bytes) -> str:
    try:
        found = wire.decode(frame)
    except WireError as error:
        return str(error)
    is_fine = isinstance(found, dict) and found.get("failure") == ""
    return "" if is_fine else _failure_text(found)


def _failure_text(found: Plain) -> str:
    """The submission's own words: one line of printable characters, not too long."""
    text = found.get("failure") if isinstance(found, dict) else None
    if not isinstance(text, str) or not text:
        return _("The answer cannot be read.")
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown[:LONGEST_FAILURE]


def _why_missing(ended: str, limits: Limits) -> str:
    """Why there is no answer, in one sentence."""
    if ended == "time":
        return _(
            "It took longer than {n} s and was stopped: is there a loop without an "
            "end?",
            n=f"{limits.seconds:g}",
        )
    if ended == "memory":
        return _("It needs more than {n} GiB of memory.", n=f"{limits.memory_gib:g}")
    if ended == "output":
        return _("It answers with more than {n} KiB.", n=limits.output_kib)
    return _("The program ended before it answered.")
