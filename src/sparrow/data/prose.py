"""Real prose that every machine has: the docstrings of Python's own library.

Source files are read and parsed, never imported. About 1.5 MB of English about
programs. It differs between versions of Python, and a little between systems: compare
runs on prose only where the version is the same. The text is under Python's licence
(PSF-2.0); nothing of it is kept in this package.
"""

import ast
import hashlib
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["documents"]

SKIPPED = ("test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages")
SHORTEST = 60  # shorter docstrings say the same thing again and again
LARGEST = 1_500_000  # bytes
HELD_OUT_OF_256 = 13  # modules: one in twenty


def documents(size: int, *, held_out: bool) -> Iterator[str]:
    """Docstrings, each once, at most about `size` bytes; always in the same order.

    A module is on one side of the split. What a module for tests says is left out of
    training, even where another module says the same.
    """
    left = min(size, LARGEST)
    seen = set() if held_out else set(documents(LARGEST, held_out=True))
    for is_for_tests, path in _modules():
        for text in _docstrings(path) if is_for_tests == held_out else ():
            if text not in seen and left > 0:
                seen.add(text)
                left -= len(text.encode())
                yield text
        if left <= 0:
            return


@cache
def _modules() -> tuple[tuple[bool, Path], ...]:
    """Source files and their sides, in an order that favours no part."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in root.rglob("*.py"):
        inside = path.relative_to(root)
        if not any(
            each in SKIPPED or each.startswith("test_") for each in inside.parts
        ):
            digest = hashlib.sha256(inside.as_posix().encode()).digest()
            found.append((digest, path))
    return tuple((digest[-1] < HELD_OUT_OF_256, path) for digest, path in sorted(found))


@cache
def _docstrings(path: Path) -> tuple[str, ...]:
    """The longer docstrings of a source file, outer ones first."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # not readable, or not this Python
        return ()
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, owners)]
    found = [ast.get_docstring(node) or "" for node in nodes]
    return tuple(text for text in found if len(text) >= SHORTEST)
