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

HEAD = '"""What you built, and what passed its check. The labs write this file."""\n'
MARK = "# --- exercise {number} ---"
CELL_LINES = 400  # a longer file is a module, not a cell
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
    old = file.read_text("utf-8") if file.exists() else ""
    kept = {**sections(old), number: code}
    order = sorted(kept, key=lambda each: [int(part) for part in each.split(".")])
    blocks = [f"{MARK.format(number=each)}\n\n{kept[each]}\n" for each in order]
    text = "\n\n".join([HEAD, *blocks])
    with atomic_write(file) as target:
        target.write(text.encode())


def _code_of(learner_object: Callable[..., Any] | Any) -> str | None:
    """The whole cell that defines it, imports included, if that can be found."""
    if not (inspect.isfunction(learner_object) or inspect.isclass(learner_object)):
        return None
    try:
        own = inspect.getsource(learner_object)
        file = inspect.getsourcefile(learner_object)
    except (OSError, TypeError):
        return None
    whole = "".join(linecache.getlines(file)) if file else ""
    for text in (whole, inspect.cleandoc(own)):
        if text.strip() and _is_code(text) and len(text.splitlines()) < CELL_LINES:
            return text.strip("\n")
    return None


def _is_code(text: str) -> bool:
    """Whether this would be valid in a file: no magics, no half sentences."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True
