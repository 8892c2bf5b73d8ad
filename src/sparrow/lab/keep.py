"""Keep what passed its check in one file, which the last lab runs as a whole."""

import re
from pathlib import Path
from typing import Any

from sparrow.errors import LabError
from sparrow.lab import origin
from sparrow.language import _
from sparrow.runtime import atomic_write, home_folder

__all__ = ["keep", "path", "sections"]

HEAD = (
    '"""What you built, and what passed its check. The labs write this file."""\n\n'
    # a type that is not imported must not stop the whole file
    "from __future__ import annotations\n"
)
MARK = "# --- exercise {number} ---"
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

    Each section stands alone: it brings the imports and the helpers that it needs.
    Values, such as a guess, are not kept: they are no part of a model.

    Raises:
        LabError: it needs something that only its notebook has.
        StorageError: the file cannot be written; the old one is untouched.
    """
    found = origin.find(learner_object)
    if found is None:
        return
    if found.missing:
        names = ", ".join(found.missing)
        raise _cannot(number, _("only this notebook has {names}", names=names))
    _try_out(number, found.code)
    file = path()
    old = file.read_text("utf-8", errors="replace") if file.exists() else ""
    kept = {**_sound(sections(old)), number: found.code}
    order = sorted(kept, key=lambda each: [int(part) for part in each.split(".")])
    blocks = [f"{MARK.format(number=each)}\n\n{kept[each]}\n" for each in order]
    text = "\n\n".join([HEAD, *blocks])
    with atomic_write(file) as target:
        target.write(text.encode())


def _try_out(number: str, code: str) -> None:
    """Run the section as an import would, so that one cell cannot spoil the file."""
    try:
        exec(compile(HEAD + code, MARK.format(number=number), "exec"), {"__name__": ""})
    except Exception as error:  # whatever a decorator or a default value may raise
        raise _cannot(number, f"{type(error).__name__}: {error}") from error


def _cannot(number: str, reason: str) -> LabError:
    return LabError(
        _(
            "Exercise {number} passes, but cannot be kept in {file} ({reason}): define "
            "what it uses in the same cell, and run the check again.",
            number=number,
            file=path().name,
            reason=reason,
        )
    )


def _sound(kept: dict[str, str]) -> dict[str, str]:
    """The sections that are still Python, should somebody have edited the file."""
    return {number: code for number, code in kept.items() if origin.is_python(code)}
