"""What one exercise of one submission may use."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one run; a lab may set its own in the front matter of its source.

    Args:
        seconds: of the clock, for the cells and all cases together.
        memory_gib: what it may use beside what Python and PyTorch need.
        processes: processes and threads.
        file_mib: the size of a file, and of all files.
        output_kib: the answers that it sends, all together.
    """

    seconds: float = 20.0
    memory_gib: float = 2.0
    processes: int = 32
    file_mib: int = 64
    output_kib: int = 16 * 1024

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int | float) or value <= 0:
                raise ConfigError(
                    _(
                        "The limit {name} must be a number above zero, got {value}.",
                        name=each.name,
                        value=value,
                    )
                )

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> "Limits":
        """The limits that a lab's metadata asks for.

        Raises:
            ConfigError: an unknown name, or a value that is no number above zero.
        """
        names = {each.name for each in fields(cls)}
        if unknown := set(found or {}) - names:
            raise ConfigError(
                _(
                    "There is no limit {name}: choose from {names}.",
                    name=", ".join(sorted(unknown)),
                    names=", ".join(sorted(names)),
                )
            )
        return cls(**(found or {}))
