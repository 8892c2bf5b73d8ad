"""Put another function in the library's place, and always find the original again."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparrow.errors import CheckError
from sparrow.language import _

__all__ = ["as_written", "locate", "put_back", "replace", "replaced"]

_originals: dict[str, Any] = {}  # "module:symbol" -> what the library came with


def locate(symbol: str) -> tuple[Any, str]:
    """The module or class that holds `module:symbol`, and the attribute's name.

    Raises:
        CheckError: there is no such symbol.
    """
    module, _colon, path = symbol.partition(":")
    try:
        owner: Any = importlib.import_module(module)
        *classes, name = path.split(".")
        for each in classes:
            owner = getattr(owner, each)
        owner.__dict__[name]
    except (ImportError, AttributeError, KeyError, ValueError):
        raise CheckError(
            _("There is no {symbol} in the library.", symbol=symbol)
        ) from None
    return owner, name


def replace(symbol: str, other: Any) -> None:
    """Let the library call `other` instead of `module:symbol` from now on."""
    owner, name = locate(symbol)
    _originals.setdefault(symbol, owner.__dict__[name])
    setattr(owner, name, other)


def put_back(symbol: str) -> None:
    """Let the library call its own `module:symbol` again."""
    if symbol in _originals:
        owner, name = locate(symbol)
        setattr(owner, name, _originals.pop(symbol))


def replaced() -> dict[str, Any]:
    """What stands in the library's place now: `module:symbol` -> object."""
    found = {}
    for symbol in _originals:
        owner, name = locate(symbol)
        found[symbol] = owner.__dict__[name]
    return found


@contextmanager
def as_written() -> Iterator[None]:
    """Within the block the library is as it came: references must not be replaced."""
    others = replaced()
    for symbol in others:
        put_back(symbol)
    try:
        yield
    finally:
        for symbol, other in others.items():
            replace(symbol, other)
