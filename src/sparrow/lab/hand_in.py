"""Hand a lab in: check the file, copy it whole, give a receipt."""

import getpass
import hashlib
import json
import os
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import sparrow
from sparrow.errors import LabError, StorageError
from sparrow.lab.catalogue import About
from sparrow.lab.window import feedback_at, hand_in_at
from sparrow.language import _
from sparrow.runtime import (
    atomic_write,
    course_folder,
    exchange_window,
    home_folder,
    writable_folder,
)

__all__ = ["fetch_feedback", "hand_in", "lab_of", "missing"]

LIMIT_BYTES = 20 * 10**6
RECEIPT, TIMESTAMP = "receipt.json", "timestamp.txt"


def hand_in(lab: About, notebook: Path, user: str | None = None) -> Path:
    """Copy the notebook and its artefacts to the course; the receipt's path.

    An earlier submission is moved to `earlier/`, never overwritten.

    Args:
        lab: which lab.
        notebook: the learner's file, as saved.
        user: whose it is; the account's name by default.

    Raises:
        LabError: the file is not a notebook of this lab, or is too large.
        StorageError: the course folder cannot be written; nothing was changed.
    """
    if (window := exchange_window()) is not None:
        return _at_window(window, lab, notebook)
    now = datetime.now(UTC)
    course = course_folder()
    name = _folder_name(user or _account())
    place = course / "submitted" / name / lab.name
    old = course / "earlier" / name / lab.name / f"{now:%Y%m%dT%H%M%S.%fZ}"
    try:
        _check(lab, notebook)
        writable_folder(place.parent)
        # beside its place and not in it, so that a rename is enough
        with tempfile.TemporaryDirectory(dir=course, prefix=".submission-") as folder:
            fresh = Path(folder) / lab.name
            fresh.mkdir()
            _fill(fresh, lab, notebook, name, now)
            _exchange(fresh, place, old)
    except OSError as error:
        raise StorageError(
            _(
                "Your work could not be handed in to {folder} ({reason}); your "
                "notebook is untouched.",
                folder=course,
                reason=error.strerror or error,
            )
        ) from error
    return place / RECEIPT


def _at_window(window: Path, lab: About, notebook: Path) -> Path:
    """Hand in to the classroom; its receipt is kept at home."""
    _check(lab, notebook)
    files = {f"{lab.name}.ipynb": notebook.read_bytes()}
    files |= {each.name: each.read_bytes() for each in _artefacts(lab)}
    receipt = hand_in_at(window, lab.name, files)
    path = home_folder() / "receipts" / f"{lab.name}-{receipt['number']}.json"
    try:
        with atomic_write(path) as file:
            file.write(json.dumps(receipt, indent=2).encode() + b"\n")
    except StorageError as error:
        raise StorageError(
            _(
                "Your work is handed in, as number {number}; only the receipt could "
                "not be kept in {path}: free some space in your folder.",
                number=receipt["number"],
                path=path,
            )
        ) from error
    return path


def fetch_feedback(lab: About, folder: Path) -> Path:
    """Copy what grading says about your work into `folder`/feedback; the page's path.

    Args:
        lab: which lab.
        folder: where the learner works.

    Raises:
        LabError: there is no feedback yet.
        StorageError: nobody answers, or `folder` cannot be written.
    """
    if (window := exchange_window()) is not None:
        pages = feedback_at(window, lab.name)
    else:
        place = course_folder() / "feedback" / _folder_name(_account()) / lab.name
        pages = {page.name: page.read_bytes() for page in place.glob("*.html")}
    if f"{lab.name}.html" not in pages:
        raise LabError(_("There is no feedback on {lab} for you yet.", lab=lab.name))
    target = folder / "feedback"
    writable_folder(target)
    for name, page in pages.items():
        with atomic_write(target / name) as file:
            file.write(page)
    return target / f"{lab.name}.html"


def _account() -> str:
    """The name of who is logged in; a container may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "learner"


def _folder_name(user: str) -> str:
    """A name that is one folder, and no way out of it."""
    return re.sub(r"[^\w.-]", "_", user).lstrip(".") or "learner"


def _fill(fresh: Path, lab: About, notebook: Path, user: str, now: datetime) -> None:
    """Copy all files of a submission, and add when and what."""
    shutil.copyfile(notebook, fresh / f"{lab.name}.ipynb")
    for file in _artefacts(lab):
        shutil.copyfile(file, fresh / file.name)
    (fresh / TIMESTAMP).write_text(f"{now:%Y-%m-%d %H:%M:%S.%f} UTC\n", "utf-8")
    told = _receipt(lab, user, now, fresh)
    (fresh / RECEIPT).write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def _exchange(fresh: Path, place: Path, old: Path) -> None:
    """Put `fresh` in its place; what stood there goes to `old`, or back."""
    had_one = place.exists()
    if had_one:
        old.parent.mkdir(parents=True, exist_ok=True)
        os.replace(place, old)
    try:
        os.replace(fresh, place)
    except BaseException:  # also when the kernel is interrupted here
        if had_one:
            os.replace(old, place)
        raise


def _check(lab: About, notebook: Path) -> None:
    """Refuse what no grader could read."""
    if not notebook.is_file():
        raise LabError(
            _(
                "There is no notebook at {path}; name it: lab.submit(path).",
                path=notebook,
            )
        )
    size = notebook.stat().st_size
    if size > LIMIT_BYTES:
        raise LabError(
            _(
                "The notebook has {got} MB, and {limit} are allowed: clear its "
                "outputs, save, and submit again.",
                got=-(-size // 10**6),
                limit=LIMIT_BYTES // 10**6,
            )
        )
    found = lab_of(notebook)
    if found is None:
        raise LabError(
            _(
                "{path} is not a Jupyter notebook: save it, then submit again.",
                path=notebook,
            )
        )
    if found != lab.name:
        raise LabError(
            _(
                "This notebook belongs to {found}, not to {lab}: open the right one.",
                found=found or _("no lab"),
                lab=lab.name,
            )
        )


def lab_of(notebook: Path) -> str | None:
    """The lab that a notebook belongs to, "" for none; None if it is no notebook."""
    try:
        told = json.loads(notebook.read_bytes())
        found = told["metadata"].get("sparrow", {}).get("lab")
        return str(found or "") if isinstance(told["cells"], list) else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def missing(lab: About) -> list[str]:
    """The files that the lab asks for and that are not there."""
    return [name for name in lab.artefacts if not (home_folder() / name).is_file()]


def _artefacts(lab: About) -> list[Path]:
    """The files that the lab asked for, as far as they are there."""
    absent = missing(lab)
    return [home_folder() / name for name in lab.artefacts if name not in absent]


def _receipt(lab: About, user: str, now: datetime, folder: Path) -> dict[str, object]:
    """What was handed in, when, and the hash of each file."""
    hashes = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != TIMESTAMP
    }
    return {
        "lab": lab.name,
        "user": user,
        "time": now.isoformat(timespec="seconds"),
        "version": sparrow.__version__,
        "sha256": hashes,
    }
