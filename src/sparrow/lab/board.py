"""Tell the instructor's board how a check went: only if its learner has agreed.

What is told is the lab, the exercise, whether it passed, and a key of the sentence that
names the likeliest cause. The values in that sentence, the code and its results stay in
the notebook. A check waits for no answer: where the board is gone, full or deaf,
nothing is tried twice, and nothing is said.
"""

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

from sparrow.checks.judging import Outcome
from sparrow.language import template_of
from sparrow.runtime import atomic_write, board_window, home_folder

__all__ = ["agree", "is_there", "key_of", "shares", "tell"]

FILE = "board.json"
TELL_S, ASK_S = 0.2, 3.0


def is_there() -> bool:
    """Whether this classroom has a board."""
    return board_window() is not None


def shares() -> bool:
    """Whether the learner has agreed; nobody has who never said so."""
    try:
        told = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("shares") is True


def agree(yes: bool) -> bool:
    """Remember what the learner decided, and tell the board.

    Returns:
        Whether the board has heard it. It forgets who takes the agreement back.

    Raises:
        StorageError: it cannot be remembered; nothing was changed.
    """
    with atomic_write(_file()) as file:
        file.write(json.dumps({"shares": yes}).encode() + b"\n")
    window = board_window()
    if window is None:
        return False
    try:
        return bool(_say(window, {"share": yes}, ASK_S, waits=True))
    except (OSError, ValueError):
        return False


def tell(lab: str, outcome: Outcome) -> None:
    """Say how a check went, if the learner has agreed; never an error."""
    window = board_window()
    if window is None or not shares():
        return
    wrong = next((each for each in outcome.groups if not each.passed), None)
    told = {
        "lab": lab,
        "exercise": outcome.exercise,
        "passed": outcome.passed,
        "cause": key_of(template_of(wrong.message)) if wrong else "",
    }
    try:
        _say(window, told, TELL_S, waits=False)
    except (OSError, ValueError):
        return


def key_of(template: str) -> str:
    """The short name of a sentence; "" for one that is not known."""
    return hashlib.sha256(template.encode()).hexdigest()[:12] if template else ""


def _file() -> Path:
    return home_folder() / FILE


def _say(window: Path, told: dict[str, Any], wait_s: float, *, waits: bool) -> bytes:
    """Send one line; the answer, if somebody waits for it."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(wait_s)
        line.connect(str(window))
        line.sendall(json.dumps(told).encode() + b"\n")
        return line.recv(64) if waits else b""
