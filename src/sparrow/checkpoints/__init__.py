"""Models that travel with the package, so that every lab can start without the last.

Each folder is a Hugging Face checkpoint with its tokenizer, and

    manifest.json    hashes, the command that made it, seed, machine, metrics
    metrics.jsonl    the log of its training, thinned
"""

import hashlib
import json
from pathlib import Path

from sparrow.errors import CheckpointError
from sparrow.language import _

__all__ = ["FOLDER", "LOG", "MANIFEST", "find", "manifest", "names"]

FOLDER = Path(__file__).parent
MANIFEST, LOG = "manifest.json", "metrics.jsonl"


def names() -> list[str]:
    """Which models are here."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{MANIFEST}"))


def manifest(name: str) -> dict[str, object]:
    """Where a model comes from, and how good it is.

    Raises:
        CheckpointError: there is no model of that name.
    """
    path = FOLDER / name / MANIFEST
    if not path.is_file():
        raise CheckpointError(
            _(
                'no model called "{name}" travels with the package; choose one of: '
                "{known}.",
                name=name,
                known=", ".join(names()),
            )
        )
    told: dict[str, object] = json.loads(path.read_text("utf-8"))
    return told


def find(name: str) -> Path:
    """The folder of a model, for `Sparrow.from_pretrained`; every file is proved.

    Raises:
        CheckpointError: there is no such model, or a file is not what it was.
    """
    expected = manifest(name)["sha256"]
    assert isinstance(expected, dict), "written by `workshop checkpoint`"
    for file, digest in expected.items():
        path = FOLDER / name / file
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        if found != digest:
            raise CheckpointError(
                _(
                    "{path} is missing or changed: install the package again.",
                    path=path,
                )
            )
    return FOLDER / name
