"""A UNIX account without rights, and a Python that it may run; both for a moment."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workshop.classroom.place import Place
from workshop.classroom.settings import from_tables
from workshop.hub import install

PACKAGES = Path(sys.prefix) / "lib" / install.VERSION / "site-packages"
ALEMBIC = """#!{python}
import sys
from alembic.config import main
sys.exit(main(prog="alembic"))
"""


@dataclass(frozen=True)
class Ordinary:
    """Somebody who may do little.

    Args:
        name: the account.
        folder: their own, where everybody may pass.
        python: an interpreter with our packages.
    """

    name: str
    folder: Path
    python: Path

    def own(self, place: Path) -> None:
        """Give them all that lies there."""
        person = pwd.getpwnam(self.name)
        for each in (place, *place.rglob("*")):
            os.lchown(each, person.pw_uid, person.pw_gid)

    def may_make_namespaces(self) -> bool:
        """What bubblewrap needs; some systems forbid it to all but root."""
        line = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
        done = subprocess.run(
            line, user=self.name, group=self.name, extra_groups=[], check=False
        )
        return done.returncode == 0


@contextmanager
def account() -> Iterator[Ordinary]:
    """Make one, and remove it with all its processes."""
    name = f"spt-{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix="sparrow-ordinary-"))
    folder.chmod(0o755)  # pytest's own folder may be entered by root alone
    subprocess.run(["useradd", "--user-group", "--no-create-home", name], check=True)
    try:
        somebody = Ordinary(name, folder, _python(folder))
        home = folder / "home"
        home.mkdir()
        somebody.own(home)
        yield somebody
    finally:
        subprocess.run(["pkill", "-9", "-u", name], check=False)
        subprocess.run(["userdel", name], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _python(folder: Path) -> Path:
    """As in the shared environment of a hub; links, where all may read ours."""
    environment = folder / "environment"
    programs = environment / "bin"
    python = programs / "python"
    if not install.all_may_reach(PACKAGES):
        places = {"environment": str(environment), "course": str(folder / "course")}
        place = Place(from_tables({"places": places}, folder))
        install.install_environment(place, print)
        return python
    packages = environment / "lib" / install.VERSION / "site-packages"
    packages.parent.mkdir(parents=True)
    packages.symlink_to(PACKAGES)
    for name in ("share", "etc"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    programs.mkdir()
    shared = install.shared_python()
    python.symlink_to(shared)
    config = f"home = {shared.parent}\ninclude-system-site-packages = false\n"
    (environment / "pyvenv.cfg").write_text(config, "utf-8")
    alembic = programs / "alembic"
    alembic.write_text(ALEMBIC.format(python=python), "utf-8")
    alembic.chmod(0o755)
    return python
