"""Keep what was found out about a submission, so that nothing is run twice.

What an exercise earns depends on the cells, the files handed in with them, the lab, the
secret and our own version. All of this together is the key. So after a power cut the
same command goes on where it was, and what was changed since is graded again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from sparrow import language, runtime
from sparrow.checks.judging import GroupResult, Outcome

__all__ = ["Answered", "Kept"]

FOLDER = Path(".workshop") / "graded"


@dataclass(frozen=True)
class Answered:
    """All of a submission that grading looks at.

    Args:
        answers: grade_id of an answer cell -> its source.
        others: the sources of all code cells.
        folder: the submission, with the files that the lab left.
    """

    answers: Mapping[str, str]
    others: Sequence[str]
    folder: Path | None

    @classmethod
    def of(cls, notebook: Any, folder: Path | None) -> "Answered":
        """What a notebook answers; its cells may say anything."""
        answers, others = {}, []
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            others.append(cell.source)
            about = cell.metadata.get("nbgrader", {})
            grade_id = about.get("grade_id") if isinstance(about, dict) else None
            if isinstance(grade_id, str) and grade_id:
                answers[grade_id] = cell.source
        return cls(answers, others, folder)


class Kept:
    """The outcomes of one lab, one small file each.

    Args:
        root: the course folder.
        lab: the lab's name.
        about: what else decides: the released cells, the secret.

    Its own `folder` holds the files; its `about` is the digest of all but the answers.
    """

    def __init__(self, root: Path, lab: str, about: Mapping[str, str]) -> None:
        self.folder = root / FOLDER / lab
        reference = (root / "solutions" / lab / f"{lab}.ipynb").read_bytes()
        version = metadata.version("sparrow-workshop")
        told = json.dumps([version, language.current(), sorted(about.items())])
        self.about = hashlib.sha256(reference + told.encode()).digest()

    def find(self, answered: Answered) -> dict[str, Outcome] | None:
        """What is known of a submission; None: nothing, or a file that is damaged."""
        try:
            told = json.loads(self._path(answered).read_bytes())
            return {number: _outcome(each) for number, each in told.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def keep(self, answered: Answered, outcomes: Mapping[str, Outcome]) -> None:
        """Write it down, whole or not at all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = {number: asdict(each) for number, each in outcomes.items()}
        with runtime.atomic_write(self._path(answered)) as file:
            file.write(json.dumps(told).encode())

    def forget(self) -> None:
        """Know nothing of this lab any more."""
        for path in self.folder.glob("*.json"):
            path.unlink()

    def _path(self, answered: Answered) -> Path:
        key = hashlib.sha256(self.about)
        key.update(json.dumps([dict(answered.answers), list(answered.others)]).encode())
        if answered.folder is not None:
            for path in sorted(answered.folder.iterdir()):
                if path.is_file() and path.suffix != ".ipynb":
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    key.update(f"{path.name} {digest}\n".encode())
        return self.folder / f"{key.hexdigest()}.json"


def _outcome(told: dict[str, Any]) -> Outcome:
    groups = tuple(GroupResult(**each) for each in told["groups"])
    return Outcome(exercise=told["exercise"], groups=groups)
