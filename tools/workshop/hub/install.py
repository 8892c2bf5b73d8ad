"""Build what everybody shares: programs, book and labs in a place that all may read.

The packages come from the environment that runs this, so no network is needed. They are
hard links where the disk allows it, and the new folder takes the old one's place in one
step: an installation that stops half-way leaves the old one at work.
"""

import errno
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sparrow import assets, native, runtime
from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.model import native as latent
from sparrow.model import native_block
from sparrow.quant import native as codes
from workshop.classroom import passcodes
from workshop.classroom.people import People
from workshop.classroom.place import Place, why

__all__ = ["InstallError", "install_course", "install_environment", "rewrite"]

CHECKOUT = Path(__file__).resolve().parents[3]
FOR_COURSE = ("solutions", "labs")
CONFIG = "nbgrader_config.py"
PROVE = "import jupyterhub.singleuser, jupyterlab, nbgrader, sparrow, workshop.hub"
NOT_TAKEN = shutil.ignore_patterns("_editable_impl_*", "__editable__*")
NO_CACHES = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
VERSION = "python{}.{}".format(*sys.version_info[:2])


class InstallError(SparrowError):
    """The shared environment or the course folder cannot be made."""


class _FullError(Exception):
    """The disk is full. No OSError, after which copying would go on file by file."""


def install_environment(place: Place, say: Callable[[str], None]) -> None:
    """Build the environment, or bring it up to date.

    Raises:
        InstallError: something is missing or the disk is full; nothing was changed.
    """
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise InstallError(
            _("Install from the project's folder: there is no {path}.", path=CHECKOUT)
        )
    python = shared_python()
    final = place.environment
    draft, old = (final.with_name(f".{final.name}.{end}") for end in ("new", "old"))
    for each in (draft, old):
        shutil.rmtree(each, ignore_errors=True)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        say(_("Programs …"))
        _programs(draft, final, python)
        say(_("Book, labs and weights …"))
        if not assets.is_whole("smollm2"):
            say(
                _(
                    "The weights of SmolLM2 are missing, which the tour needs: as "
                    "root, run sparrow assets get smollm2, then this again."
                )
            )
        _shared(draft / "share/sparrow")
        open_to_all(draft)
        if final.exists():
            final.rename(old)
        draft.rename(final)
    except (OSError, _FullError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise InstallError(
            _(
                "{folder} cannot be built ({reason}); what was there is untouched.",
                folder=final,
                reason=why(error) if isinstance(error, OSError) else error,
            )
        ) from error
    shutil.rmtree(old, ignore_errors=True)
    say(_("Trying it as a user without rights …"))
    _prove(place)


def shared_python() -> Path:
    """A Python of this version that every account may run.

    Raises:
        InstallError: there is none.
    """
    here = Path(sys.base_prefix) / "bin" / VERSION
    for program in (
        here,
        *(Path(f"{d}/bin/{VERSION}") for d in ("/usr", "/usr/local")),
    ):
        if program.exists() and all_may_reach(program):
            return program
    raise InstallError(
        _(
            "No {version} on this machine can be run by every account ({here} cannot): "
            "install one, with sudo apt install {version}.",
            version=VERSION,
            here=here,
        )
    )


def all_may_reach(path: Path) -> bool:
    """Whether others may pass all folders above and read what lies there."""
    path = path.resolve()
    passable = all(each.stat().st_mode & stat.S_IXOTH for each in path.parents)
    return passable and bool(path.stat().st_mode & stat.S_IROTH)


def _programs(draft: Path, final: Path, python: Path) -> None:
    """A virtual environment: another Python's, with our packages."""
    packages = draft / "lib" / VERSION / "site-packages"
    here = Path(sys.prefix)
    found = here / "lib" / VERSION / "site-packages"
    shutil.copytree(
        found, packages, symlinks=True, ignore=NOT_TAKEN, copy_function=_link
    )
    for name in ("share", "etc"):
        shutil.copytree(here / name, draft / name, symlinks=True, copy_function=_link)
    for name, folder in (("sparrow", "src"), ("workshop", "tools")):
        shutil.rmtree(packages / name, ignore_errors=True)
        shutil.copytree(CHECKOUT / folder / name, packages / name, ignore=NO_CACHES)
    programs = draft / "bin"
    programs.mkdir()
    for name in ("python", "python3", VERSION):
        (programs / name).symlink_to(python)
    config = f"home = {python.parent}\ninclude-system-site-packages = false\n"
    (draft / "pyvenv.cfg").write_text(config, "utf-8")
    for script in sorted((here / "bin").iterdir()):
        if not script.is_symlink() and script.is_file():
            rewrite(script, programs / script.name, final)


def rewrite(script: Path, copy: Path, final: Path) -> None:
    """A command that starts the new environment's Python."""
    content = script.read_bytes()
    if content.startswith(f"#!{sys.prefix}/bin/python".encode()):
        rest = content.partition(b"\n")[2]
        copy.write_bytes(f"#!{final}/bin/python\n".encode() + rest)
        shutil.copymode(script, copy)


def _link(source: str, target: str) -> str:
    """A hard link; a copy where they lie on different disks."""
    try:
        os.link(source, target)
        return target
    except OSError:
        pass
    try:
        shutil.copy2(source, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _FullError(error.strerror) from error
        raise
    return target


def _shared(folder: Path) -> None:
    """The book, the labs, the weights and the picture that this checkout has."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = {
        CHECKOUT / "book/_build/html": folder / "book",
        CHECKOUT / "labs": folder / "labs",
    }
    made = [each.library() for each in (latent, native_block, codes)]
    if all(made):  # compiled once, for everybody
        kept = native.FOLDER
        taken[runtime.cache_folder() / kept] = folder / "cache" / kept
    if assets.is_whole("smollm2"):
        taken[assets.folder_of("smollm2")] = folder / "cache/smollm2"
    for source, target in taken.items():
        if source.is_dir():
            shutil.copytree(source, target, ignore=NO_CACHES)
    shutil.copy(CHECKOUT / "book/_theme/static/sparrow.svg", folder)


def open_to_all(folder: Path) -> None:
    """Everybody may read and run, root alone may write."""
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(top, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                continue
            runs = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
            wanted = (mode | (0o555 if runs else 0o444)) & ~0o022
            if wanted != mode:
                os.chmod(path, stat.S_IMODE(wanted))
    folder.chmod(0o755)


def _prove(place: Place) -> None:
    """Import everything as `nobody`.

    Raises:
        InstallError: other accounts cannot run it.
    """
    done = subprocess.run(
        [place.python, "-I", "-c", PROVE],
        user="nobody",
        group="nogroup",
        extra_groups=[],
        cwd="/",
        env={"HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallError(
            _(
                "Other accounts cannot run {python} ({reason}): every folder above it "
                "must be readable by all.",
                python=place.python,
                reason=(done.stderr.strip().splitlines() or ["?"])[-1],
            )
        )


def install_course(people: People) -> str:
    """Make the instructor's account and the course folder, or renew their labs.

    Gradebook, submissions and lists of people are never touched.

    Returns:
        The instructor's new passcode; empty if there was one.

    Raises:
        SparrowError: the account or the folder cannot be made.
    """
    place, account = people.place, people.instructor
    people.accounts.add(account)
    try:
        place.private.mkdir(parents=True, exist_ok=True)
        for name in FOR_COURSE:
            shutil.copytree(
                CHECKOUT / name,
                place.course / name,
                ignore=NO_CACHES,
                dirs_exist_ok=True,
            )
        shutil.copy(CHECKOUT / CONFIG, place.course)
        _give_to(account, (place.course, *place.course.rglob("*")))
        place.course.chmod(0o700)
        place.private.chmod(0o700)
        place.state.mkdir(parents=True, exist_ok=True)
        place.state.chmod(0o700)
    except OSError as error:
        raise InstallError(
            _(
                "The course in {folder} cannot be made ({reason}).",
                folder=place.course,
                reason=why(error),
            )
        ) from error
    if account in people.passcodes.accounts():
        return ""
    passcode = passcodes.make()
    people.passcodes.give({account: passcode})
    return passcode


def _give_to(account: str, paths: Iterable[Path]) -> None:
    """Change the owner; a link is changed itself, never what it points to."""
    person = pwd.getpwnam(account)
    for path in paths:
        os.lchown(path, person.pw_uid, person.pw_gid)
