"""Say in one sentence why the learner's code gave no answer, with *their* line."""

import linecache
import traceback
from collections.abc import Container

from sparrow.errors import CheckError
from sparrow.language import _

__all__ = ["TooSlow", "in_one_sentence"]

LONGEST = 160  # characters of an error's text: some print whole tensors


class TooSlow(BaseException):
    """The time is up; not an Exception, so that `except Exception` lets it pass."""


def in_one_sentence(error: BaseException, files: Container[str]) -> str:
    """Why the code stopped.

    Args:
        error: what it raised.
        files: the file names of the learner's code, as tracebacks name them.
    """
    if isinstance(error, CheckError):
        said = next(iter(error.args), "")  # `str` would forget where it came from
        return said if isinstance(said, str) else str(error)
    if isinstance(error, NotImplementedError) and _is_stub(error, files):
        return _("Not written yet: write the steps, then delete the line with raise.")
    if isinstance(error, TooSlow):
        return _("It took too long and was stopped: is there a loop without an end?")
    if isinstance(error, RecursionError):
        return _("The function calls itself without an end.")
    if isinstance(error, MemoryError) or "can't allocate memory" in _text_of(error):
        return _("It needs more memory than there is: are the shapes as you think?")
    text = _shortened(f"{type(error).__name__}: {_text_of(error)}".rstrip(": "))
    frame = _last_frame(error, files)
    if frame is None:
        return _("Your code stopped: {error}.", error=text)
    line, source = frame
    if not source:
        return _("Your code stopped in line {line}: {error}.", line=line, error=text)
    return _(
        "Your code stopped in line {line}, `{source}`: {error}.",
        line=line,
        source=_shortened(source),
        error=text,
    )


def _last_frame(error: BaseException, files: Container[str]) -> tuple[int, str] | None:
    """Line number and source of the last frame that lies in the learner's code."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if name in files:
            found = line, linecache.getline(name, line).strip()
    return found


def _is_stub(error: BaseException, files: Container[str]) -> bool:
    """The stub raises in its own line; PyTorch raises the same error deeper."""
    frame = _last_frame(error, files)
    return frame is not None and (not frame[1] or "NotImplementedError" in frame[1])


def _text_of(error: BaseException) -> str:
    """The error's own words; writing an error text is the learner's code too."""
    try:
        return str(error)
    except Exception:
        return ""


def _shortened(text: str) -> str:
    one_line = " ".join(text.split()).rstrip(".")
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 1] + "…"
