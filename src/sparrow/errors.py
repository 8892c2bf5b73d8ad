"""Every error that Sparrow raises on purpose: one tree, one sentence each.

The sentence says what was got, what was wanted and what to do. Commands print it
without a traceback and end with `exit_status`; notebooks show it with the line that
caused it.
"""

import linecache
import traceback

from sparrow.language import _


class SparrowError(Exception):
    """The root: catch this to catch everything that Sparrow raises on purpose."""

    exit_status = 1

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback; IPython asks for it."""
        sentence = f"{type(self).__name__}: {self}"
        for frame, line in reversed(list(traceback.walk_tb(self.__traceback__))):
            if frame.f_globals.get("__name__") == "__main__":
                source = linecache.getline(frame.f_code.co_filename, line).strip()
                where = _("Line {line} of the cell: {source}", line=line, source=source)
                return [where, sentence]
        return [sentence]


class UsageError(SparrowError):
    """The caller asked for something that cannot be."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration that no model can have, or a preset that does not exist."""


class PromptError(UsageError):
    """A prompt that the model cannot read: empty, too long, or unknown tokens."""


class CacheFull(SparrowError):  # noqa: N818  like queue.Full
    """The serving cache has too few free blocks."""


class QueueFull(SparrowError):  # noqa: N818  like queue.Full
    """Too many requests wait already; `retry_after_s` says when to try again."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CorpusError(UsageError):
    """Text to learn from that is missing, empty, or no text at all."""


class CheckpointError(SparrowError):
    """A checkpoint that is missing, truncated, foreign or of another shape."""


class AssetError(SparrowError):
    """Weights that could not be fetched, or whose hash is not the expected one."""


class StorageError(SparrowError):
    """A folder that cannot be written, or a disk that is full."""


class EntryError(UsageError):
    """An entry of the cost ledger that makes no sense."""


class LedgerError(SparrowError):
    """A cost ledger that cannot be read."""


class CheckError(UsageError):
    """A check that does not exist, or that was given what it cannot look at."""


class WireError(SparrowError):
    """A message between the sandbox and the grader that cannot be read."""


class QuantizationError(UsageError):
    """A model that cannot be quantized so, or calibration that says nothing."""


class RewardError(SparrowError):
    """A reward that nobody earns, or a function that cannot give one."""


class GateError(SparrowError):
    """A model that has little chance to learn from reward."""


class TeacherError(SparrowError):
    """A teacher that cannot teach this student."""


class VerifyError(SparrowError):
    """An answer that breaks the rules of its problem."""


class LabError(UsageError):
    """A lab that does not exist, or work that cannot be used or handed in yet."""
