"""`python -m tests.e2e.rehearsal --learners 30`: a rehearsal from a checkout.

On a machine where `workshop hub --install` was run, `workshop rehearse` is enough.
"""

import contextlib
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.hub_room import MAIN, REPOSITORY, Room

LAB = "02_latent_attention"
LIMITS = "[limits]\nmemory_mib = 1024\ncpu_cores = 1.0\n"


@contextlib.contextmanager
def installed() -> Iterator[Room]:
    """A workshop with the default limits; its hub does not run."""
    root = Path(tempfile.mkdtemp(prefix="sparrow-room-", dir="/var/tmp"))
    root.chmod(0o755)
    room = Room(root, f"spt-{secrets.token_hex(3)}", "localhost", "one")
    told = room.settings.read_text("utf-8")
    assert LIMITS in told
    room.settings.write_text(told.replace(LIMITS, ""), "utf-8")
    try:
        room.build()
        if not (room.place.labs / LAB).exists():
            shutil.copytree(REPOSITORY / "labs" / LAB, room.place.labs / LAB)
        yield room
    finally:
        room.close()


def main(argv: Sequence[str]) -> int:
    """Pass everything on to `workshop rehearse`."""
    with installed() as room:
        line = [sys.executable, "-c", MAIN, "rehearse"]
        line += ["--settings", str(room.settings), *argv]
        return subprocess.run(line, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
