"""The view of this machine that a submission gets: Python, the library, nothing else.

The course folder is not mounted, so solutions, gradebook, secret and other people's
work do not exist inside. Everything is read-only. There is no network.
"""

import os
import shutil
import site
import sys
from pathlib import Path

import sparrow
from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.sandbox import inside

__all__ = ["SandboxError", "command", "start_code"]

INSIDE = Path("/sandbox")
# What the checks need to be driven. The lab modules hold references and stay outside,
# and so does every module that is not named here.
CHECKS_SEEN = (
    "__init__",
    "by_bits",
    "by_imitation",
    "by_judging",
    "by_reward",
    "by_serving",
    "by_teaching",
    "by_tokens",
    "display",
    "drivers",
    "failures",
    "judging",
    "left_behind",
    "library",
    "power_cut",
    "protocol",
    "registry",
    "runner",
    "wire",
)
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "USER": "learner",
    "OMP_NUM_THREADS": "1",  # a forked process has none of its parent's threads
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class SandboxError(SparrowError):
    """The sandbox is missing, or cannot work on this machine."""


def command(socket_number: int, core: int | None = None) -> list[str]:
    """The command line that starts the warm process inside bubblewrap.

    Raises:
        SandboxError: bubblewrap is not installed.
    """
    found = shutil.which("bwrap")
    if found is None or not sys.platform.startswith("linux"):
        raise SandboxError(
            _(
                "Grading runs submissions inside bubblewrap, and it is not here: "
                "install it with `sudo apt install bubblewrap`. For your own notebooks "
                "only, --no-sandbox does without."
            )
        )
    is_root = os.geteuid() == 0
    seen = [*_python(), *_library()]
    # The environment may lie below /tmp, which a private /tmp would hide.
    scratch = "/scratch" if any(w.startswith("/tmp/") for w in seen) else "/tmp"
    settings = ENVIRONMENT | dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), scratch)
    return [
        found,
        *(_as_root() if is_root else ["--unshare-all", "--proc", "/proc"]),
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        *_flat("--setenv", settings.items()),
        *_system(),
        *_reachable(
            [
                *seen,
                *("--ro-bind", str(Path(inside.__file__).parent)),
                str(INSIDE / "inside"),
            ]
        ),
        *("--dev", "/dev", "--dir", "/tmp", "--dir", scratch),
        *("--ro-bind", "/dev/null", "/dev/zero"),  # mapped, it is memory of nobody
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", scratch),
        sys.executable,
        *start_code(INSIDE, socket_number, "root" if is_root else "user", core),
    ]


def start_code(
    folder: Path, socket_number: int, how: str, core: int | None = None
) -> list[str]:
    """Python's arguments that start the warm process from `folder`/inside."""
    paths = [str(folder), str(Path(sparrow.__file__).parents[1])]
    # Torch imports dill where it is installed, and dill wants a folder to write in.
    code = (
        f"import sys; sys.path += {paths!r}; sys.modules['dill'] = None; "
        "from inside import warm; sys.exit(warm.main(sys.argv[1:]))"
    )
    stay = [] if core is None else [str(core)]
    return ["-s", "-B", "-c", code, str(socket_number), how, *stay]


def _as_root() -> list[str]:
    """Root needs no user namespace, and drops to nobody inside (see `inside.warm`)."""
    kept = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
    return [
        *("--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"),
        *("--cap-drop", "ALL"),
        *(word for name in kept for word in ("--cap-add", name)),
        *("--dir", "/proc"),
    ]


def _system() -> list[str]:
    """/usr, and the old names that point into it."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in map(Path, SYSTEM):
        if name.is_symlink():
            words += ["--symlink", os.readlink(name), str(name)]
        elif name.is_dir():
            words += ["--ro-bind", str(name), str(name)]
    for setting in SETTINGS:
        words += ["--ro-bind-try", setting, setting]
    return words


def _python() -> list[str]:
    """The interpreter and its packages, but nothing that lies beside them.

    Somebody may have made the environment in the course folder itself.
    """
    words = []
    prefixes = {sys.base_prefix, sys.prefix, sys.exec_prefix, sys.base_exec_prefix}
    for prefix in sorted(map(Path, prefixes)):
        if prefix.is_relative_to("/usr"):
            continue
        for name in ("bin", "lib", "lib64", "pyvenv.cfg"):
            if (prefix / name).exists():
                words += ["--ro-bind", str(prefix / name), str(prefix / name)]
    # Where links lead: the program itself, and packages that lie on another disk.
    packages = map(Path, site.getsitepackages())
    for real in (Path(sys.executable).resolve(), *(x.resolve() for x in packages)):
        bound = [Path(word) for word in words[1::3]]
        is_seen = any(real.is_relative_to(each) for each in [*bound, Path("/usr")])
        if real.exists() and not is_seen:
            words += ["--ro-bind", str(real), str(real)]
    return words


def _library() -> list[str]:
    """The library without the checks' references."""
    package = Path(sparrow.__file__).parent
    checks = package / "checks"
    words = ["--ro-bind", str(package), str(package), "--tmpfs", str(checks)]
    for name in CHECKS_SEEN:
        words += ["--ro-bind", *2 * [str(checks / f"{name}.py")]]
    return [*words, "--remount-ro", str(checks)]


def _reachable(words: list[str]) -> list[str]:
    """Before the mounts, make their parent folders, which nobody may pass otherwise."""
    targets = [
        Path(word)
        for option, word in zip(words, words[2:], strict=False)
        if option == "--ro-bind"
    ]
    parents = {each for target in targets for each in target.parents}
    made = []
    for each in sorted(parents - {Path("/")}):
        if not any(each.is_relative_to(target) for target in targets):
            made += ["--perms", "0755", "--dir", str(each)]
    return [*made, *words]


def _flat(option: str, pairs: object) -> list[str]:
    assert not isinstance(pairs, str)
    return [word for pair in pairs for word in (option, *pair)]  # type: ignore[attr-defined]
