"""What nbgrader calls before it copies a submission.

nbgrader goes on when a hook fails. So the hook does not refuse: it takes away what
must not be copied, and `RepairCells` refuses what could not be taken away.
"""

import stat
from pathlib import Path
from typing import Any

__all__ = ["remove_links"]


def remove_links(*, assignment: str, student: str, **_named: Any) -> None:
    """Remove links and special files from a submission.

    nbgrader would follow a link and copy what it points to, our secret perhaps, into
    the folder that the learner gets back.
    """
    folder = Path.cwd() / "submitted" / student / assignment
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            path.unlink()
