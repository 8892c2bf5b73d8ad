"""Hand files in at the classroom's window, and take labs and feedback there."""

import contextlib
import json
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparrow.errors import LabError, StorageError
from sparrow.language import _

__all__ = ["feedback_at", "hand_in_at", "lab_at", "overview_at"]

WAIT_S = 120.0  # a whole class may be in front of us


def hand_in_at(window: Path, lab: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Give files to the classroom; its receipt.

    Args:
        window: the socket.
        lab: which lab.
        files: by plain names.

    Raises:
        LabError: they are not taken; the sentence says why.
        StorageError: nobody answers; your notebook is untouched.
    """
    header = {"lab": lab, "files": {name: len(each) for name, each in files.items()}}
    answer, _nothing = _ask(window, header, files.values())
    receipt: dict[str, Any] = answer["receipt"]
    return receipt


def feedback_at(window: Path, lab: str) -> dict[str, bytes]:
    """The pages that grading has written for whoever asks, by plain names.

    Args:
        window: the socket.
        lab: which lab.

    Raises:
        LabError: there are none yet.
        StorageError: nobody answers.
    """
    return _take(window, {"ask": "feedback", "lab": lab})


def lab_at(window: Path, lab: str) -> dict[str, bytes]:
    """The files of a lab, by plain names.

    Args:
        window: the socket.
        lab: which lab.

    Raises:
        LabError: it cannot be fetched; the sentence says which can.
        StorageError: nobody answers.
    """
    return _take(window, {"ask": "lab", "lab": lab})


def overview_at(window: Path) -> dict[str, Any]:
    """What concerns whoever asks: `labs`, their `receipts`, and `feedback` by lab.

    Raises:
        LabError: it is refused; the sentence says why.
        StorageError: nobody answers.
    """
    return _ask(window, {"ask": "overview"})[0]


def _take(window: Path, header: Mapping[str, str]) -> dict[str, bytes]:
    """The files that come back, by plain names."""
    answer, told = _ask(window, header)
    files, start = {}, 0
    for name, size in answer["files"].items():
        files[Path(name).name] = told[start : start + size]
        start += size
    return files


def _ask(
    window: Path, header: Mapping[str, Any], contents: Iterable[bytes] = ()
) -> tuple[dict[str, Any], bytes]:
    """Say something at the window; the line that comes back, and what follows it.

    Raises:
        LabError: it is refused; the sentence says why.
        StorageError: nobody answers, or the answer is cut off.
    """
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(WAIT_S)
            line.connect(str(window))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(json.dumps(header).encode() + b"\n")
                for content in contents:
                    line.sendall(content)
            # Whoever refuses before all has come has said why: read it.
            with line.makefile("rb") as heard:
                answer: dict[str, Any] = json.loads(heard.readline())
                wanted = sum(answer.get("files", {}).values())
                told = heard.read(wanted)
        if len(told) != wanted:
            raise ValueError(_("the answer is cut off"))
    except (OSError, ValueError) as error:
        raise StorageError(
            _(
                "Nobody answers where labs are handed in ({reason}): wait a minute, "
                "then try again. Your notebook is untouched.",
                reason=error,
            )
        ) from error
    if "refused" in answer:
        raise LabError(str(answer["refused"]))
    return answer, told
