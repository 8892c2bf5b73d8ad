"""Sparrow: a small reasoning model, whole, to be built with your own hands."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparrow.config import Config
    from sparrow.model import Sparrow

__all__ = ["Config", "Sparrow"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the model only when it is asked for: torch takes a second to load."""
    if name == "Config":
        from sparrow.config import Config

        return Config
    if name == "Sparrow":
        from sparrow.model import Sparrow

        return Sparrow
    raise AttributeError(name)
