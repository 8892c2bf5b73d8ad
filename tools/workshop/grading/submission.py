"""Look at a submission before anything reads it: small, plain, a real notebook."""

import json
import re
import stat
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat

from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["MAX_FOLDER_MIB", "MAX_MIB", "MIB", "RefusedError", "examine"]

MAX_MIB = 20  # of one notebook; with its plots a lab needs 2
MAX_FOLDER_MIB = 200  # of everything that is handed in beside it
MAX_FILES = 500
MAX_CELLS = 1000  # a lab has 60; nbgrader needs a millisecond for each
MAX_CHARACTERS = 500_000  # of all cells without their outputs; a lab has 25,000
MIB = 1024**2
NAME = re.compile(r"[\w.@-]+")


class RefusedError(SparrowError):
    """A submission that is not graded, and why."""


def examine(folder: Path, lab: str) -> None:
    """Refuse what must not be read, copied or parsed.

    nbgrader copies every file of a submission into the feedback that the learner gets
    back. So a link to a file of ours would hand that file out.

    Raises:
        RefusedError: one sentence for the instructor.
    """
    learner = folder.parent.name
    if not NAME.fullmatch(learner):  # nbgrader would read it as a pattern
        raise RefusedError(
            _(
                "{name} is no learner's name: rename the folder with letters, digits "
                "and . _ @ - only.",
                name=repr(learner),
            )
        )
    try:
        _examine_files(folder)
        _examine_time(folder / "timestamp.txt")
    except OSError as error:  # a path that is too long, a folder without rights
        raise RefusedError(
            _("The files cannot be read: {reason}.", reason=error.strerror)
        ) from error
    path = folder / f"{lab}.ipynb"
    if not path.is_file():
        raise RefusedError(_("There is no notebook {file}.", file=path.name))
    size = path.stat().st_size
    if size > MAX_MIB * MIB:
        raise RefusedError(
            _(
                "The notebook has {size} MiB, and {most} MiB is the most: clear its "
                "outputs and hand it in again.",
                size=round(size / MIB),
                most=MAX_MIB,
            )
        )
    _examine_notebook(_parse(path), lab)


def _examine_files(folder: Path) -> None:
    total = 0
    for count, path in enumerate(chain([folder], folder.rglob("*"))):
        if count > MAX_FILES:
            raise RefusedError(
                _("The submission has more than {most} files.", most=MAX_FILES)
            )
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RefusedError(
                _(
                    "{file} is a link or a special file: only plain files are graded.",
                    file=path.relative_to(folder.parent),
                )
            )
        total += path.lstat().st_size
    if total > MAX_FOLDER_MIB * MIB:
        raise RefusedError(
            _("The submission has more than {most} MiB of files.", most=MAX_FOLDER_MIB)
        )


def _examine_time(path: Path) -> None:
    """nbgrader stops at a time that it cannot read."""
    from nbgrader.utils import parse_utc

    try:
        if path.exists():
            parse_utc(path.read_bytes()[:200].decode().strip())
    except (ValueError, OverflowError) as error:
        raise RefusedError(
            _("{file} holds no time: delete it, or write one.", file=path.name)
        ) from error


def _parse(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            _(
                "{file} is no JSON, so it is no notebook: was it cut off on its way?",
                file=path.name,
            )
        ) from error
    except OSError as error:
        raise RefusedError(
            _("{file} cannot be read: {reason}.", file=path.name, reason=error.strerror)
        ) from error


def _examine_notebook(found: Any, lab: str) -> None:
    broken = RefusedError(
        _("The file is JSON, but no notebook of format 4: hand in the notebook.")
    )
    if not isinstance(found, dict) or found.get("nbformat") != 4:
        raise broken
    if not isinstance(cells := found.get("cells"), list):
        raise broken
    if len(cells) > MAX_CELLS:
        raise RefusedError(
            _(
                "The notebook has {n} cells, and {most} is the most.",
                n=len(cells),
                most=MAX_CELLS,
            )
        )
    try:
        nbformat.validate(nbformat.from_dict(found))
    except (Exception, RecursionError) as error:
        raise broken from error
    written = sum(len("".join(each.get("source", ""))) for each in cells)
    if written > MAX_CHARACTERS:
        raise RefusedError(
            _(
                "The cells have {n} characters together, and {most} is the most: put "
                "long data into a file.",
                n=written,
                most=MAX_CHARACTERS,
            )
        )
    about = found["metadata"].get("sparrow")
    named = about.get("lab") if isinstance(about, dict) else None
    if named is not None and named != lab:
        raise RefusedError(
            _(
                "This is the notebook of lab {got}, handed in as {want}.",
                got=str(named)[:60],
                want=lab,
            )
        )
    if named is None and not any(map(_is_graded, found["cells"])):
        raise RefusedError(
            _("No cell of this notebook belongs to lab {lab}: is it another?", lab=lab)
        )


def _is_graded(cell: Any) -> bool:
    about = cell["metadata"].get("nbgrader")
    return isinstance(about, dict) and isinstance(about.get("grade_id"), str)
