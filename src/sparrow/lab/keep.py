"""Keep what passed its check in one file, which the last lab runs as a whole."""

import ast
import inspect
import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparrow.runtime import atomic_write, home_folder

__all__ = ["keep", "path", "sections"]

HEAD = (
    '"""What you built, and what passed its check. The labs write this file."""\n\n'
    # a type that is not imported must not stop the whole file
    "from __future__ import annotations\n"
)
MARK = "# --- exercise {number} ---"
CELL_LINES = 400  # a longer file is a module, not a cell
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FINDS = re.compile(r"^# --- exercise ([\d.]+) ---$", re.MULTILINE)


def path() -> Path:
    """Where `my_sparrow.py` is kept."""
    return home_folder() / "my_sparrow.py"


def sections(text: str) -> dict[str, str]:
    """The kept code of each exercise."""
    parts = FINDS.split(text)[1:]
    return dict(
        zip(parts[::2], (part.strip("\n") for part in parts[1::2]), strict=True)
    )


def keep(number: str, learner_object: Any) -> None:
    """Put a function or class into the file, in place of an earlier version.

    Values, such as a guess, are not kept: they are no part of a model.
    """
    code = _code_of(learner_object)
    if code is None:
        return
    file = path()
    old = file.read_text("utf-8", errors="replace") if file.exists() else ""
    kept = {**sections(old), number: code}
    order = sorted(kept, key=lambda each: [int(part) for part in each.split(".")])
    blocks = [f"{MARK.format(number=each)}\n\n{kept[each]}\n" for each in order]
    text = "\n\n".join([HEAD, *blocks])
    with atomic_write(file) as target:
        target.write(text.encode())


def _code_of(learner_object: Callable[..., Any] | Any) -> str | None:
    """What defines it, with what its cell imports and defines; None if unknown."""
    if not (inspect.isfunction(learner_object) or inspect.isclass(learner_object)):
        return None
    if learner_object.__module__.partition(".")[0] == "sparrow":
        return None  # the library's own, tried out
    try:
        own = inspect.cleandoc(inspect.getsource(learner_object))
        file = inspect.getsourcefile(learner_object)
    except (OSError, TypeError):
        return None
    cell = "".join(linecache.getlines(file)) if file else ""
    for text in (cell, own):
        if len(text.splitlines()) < CELL_LINES and (kept := _definitions(text)):
            return kept
    return None


def _definitions(text: str) -> str:
    """Imports, functions, classes and constants: what is safe to run at import.

    A cell may also try something out, or use a name of another cell; that would stop
    the whole file.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ""
    lines, kept = text.splitlines(), []
    for node in tree.body:
        if not _is_safe(node):
            continue
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        block = "\n".join(lines[first - 1 : node.end_lineno])
        is_plain = not isinstance(node, Definition)
        kept.append(("\n" if is_plain else "\n\n\n") + block)
    return "".join(kept).strip("\n")


def _is_safe(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module != "__future__"  # stands at the top of the file
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return not any(
            isinstance(each, ast.Name | ast.Call | ast.NamedExpr)
            for each in ast.walk(node.value)
        )
    return isinstance(node, ast.Import | Definition)
