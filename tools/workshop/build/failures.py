"""What can be wrong with a lab's source."""

from sparrow.errors import SparrowError, UsageError

__all__ = ["LabNotFoundError", "SourceError", "StaleError"]


class SourceError(SparrowError):
    """A lab's source that no notebook can be made of."""


class LabNotFoundError(UsageError):
    """A lab that does not exist."""


class StaleError(SparrowError):
    """Committed notebooks that are not what their sources give."""
