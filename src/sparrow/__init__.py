"""Sparrow: a small reasoning model, whole, to be built with your own hands."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparrow.config import Config
    from sparrow.model import Sparrow

__all__ = ["Config", "Sparrow"]
__version__ = "0.1.0"

# How often a thread of PyTorch looks whether there is new work before it sleeps; read
# when PyTorch is loaded. Usually it is for milliseconds: where another program is busy,
# each of the two then keeps the core from the other, and all becomes ten times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "300")


def __getattr__(name: str) -> Any:
    """Import the model only when it is asked for: torch takes a second to load."""
    if name == "Config":
        from sparrow.config import Config

        return Config
    if name == "Sparrow":
        from sparrow.model import Sparrow

        return Sparrow
    raise AttributeError(name)
