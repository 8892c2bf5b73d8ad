"""A PostgreSQL of a test's own: in a folder of its own, without a port."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")  # Debian puts servers there, not on the path


def programs() -> Path | None:
    """Where `initdb` and `pg_ctl` are."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max((each.parent for each in PROGRAMS.glob("*/bin/initdb")), default=None)


@contextlib.contextmanager
def opened() -> Iterator[str]:
    """A server with an empty database; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="sparrow-pg-"))
    who = []
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres")
        who = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"

    def run(name: str, *arguments: object) -> None:
        place = programs()
        assert place is not None
        command = [*who, str(place / name), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "sparrow", "-E", "UTF8")
        run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        run("createdb", "-h", folder, "-U", "sparrow", "marks")
        yield f"postgresql://sparrow@/marks?host={folder}"
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
