"""The folder of one course: where solutions, submissions and its secret lie."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sparrow.errors import StorageError, UsageError
from sparrow.language import _

__all__ = ["Course", "CourseError"]

CONFIG = "nbgrader_config.py"


class CourseError(UsageError):
    """A folder that is no course, or a lab or learner that it does not have."""


@dataclass(frozen=True)
class Course:
    """Paths of a course; `root` holds `nbgrader_config.py`."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "Course":
        """The course in `folder`.

        Raises:
            CourseError: no `nbgrader_config.py` lies there.
        """
        root = folder.resolve()
        if not (root / CONFIG).is_file():
            raise CourseError(
                _(
                    "{folder} is no course folder, because it has no {file}: go to "
                    "the course folder, or name it (--course, or places.course in "
                    "workshop.toml).",
                    folder=root,
                    file=CONFIG,
                )
            )
        return cls(root)

    def labs(self) -> list[str]:
        """The labs that have been built."""
        found = (self.root / "solutions").glob("*/*.ipynb")
        return sorted(path.stem for path in found if path.stem == path.parent.name)

    def reference_path(self, lab: str) -> Path:
        """The full notebook of a lab.

        Raises:
            CourseError: there is no such lab.
        """
        if lab not in self.labs():
            raise CourseError(
                _(
                    "There is no lab {lab} in {folder}: choose from {labs}.",
                    lab=repr(lab),
                    folder=self.root / "solutions",
                    labs=", ".join(self.labs()) or _("none, run `workshop build`"),
                )
            )
        return self.root / "solutions" / lab / f"{lab}.ipynb"

    def submissions(self, lab: str) -> dict[str, Path]:
        """Learner -> the folder that they handed in for this lab."""
        found = sorted((self.root / "submitted").glob(f"*/{lab}"))
        return {path.parent.name: path for path in found if path.is_dir()}

    def secret(self) -> str:
        """What the hidden cases are drawn from; made once, readable by its owner only.

        Raises:
            StorageError: it cannot be made or read.
        """
        path = self.root / ".workshop" / "secret"
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                _make_once(path)
            found = path.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise StorageError(
                _(
                    "The secret of the course in {path} cannot be used ({reason}).",
                    path=path,
                    reason=error,
                )
            ) from error
        if len(found) < 32:
            raise StorageError(
                _(
                    "The secret of the course in {path} is damaged: bring it back from "
                    "a copy, or delete it and grade everybody again.",
                    path=path,
                )
            )
        return found


def _make_once(path: Path) -> None:
    """Write a new secret under another name, then link: two graders agree on one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another grader was first
    finally:
        draft.unlink()
