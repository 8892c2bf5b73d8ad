"""Hand files in at the classroom's window, where there is one."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparrow.errors import LabError, StorageError
from sparrow.language import _

__all__ = ["hand_in_at"]

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
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(WAIT_S)
            line.connect(str(window))
            line.sendall(json.dumps(header).encode() + b"\n")
            for content in files.values():
                line.sendall(content)
            with line.makefile("rb") as heard:
                answer = json.loads(heard.readline())
    except (OSError, ValueError) as error:
        raise StorageError(
            _(
                "Nobody answers where labs are handed in ({reason}): wait a minute, "
                "then submit again. Your notebook is untouched.",
                reason=error,
            )
        ) from error
    if "refused" in answer:
        raise LabError(str(answer["refused"]))
    receipt: dict[str, Any] = answer["receipt"]
    return receipt
