"""Install what is missing into `.venv`, in five stages that can be interrupted."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable

from sparrow.language import _
from workshop.start.environment import Environment
from workshop.start.failures import StartError
from workshop.start.pip import Pip
from workshop.start.progress import Stage

__all__ = ["BUILDS", "has_nvidia", "install"]

BUILDS = ("auto", "cpu", "cuda")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own
NEEDED_GIB = {"cpu": 3, "cuda": 10}
GIB = 1024**3
PROVE = "import torch, sparrow; print(torch.__version__, torch.version.cuda or 'cpu')"


def install(environment: Environment, extras: Iterable[str], build: str) -> None:
    """Install everything; what is there already is kept.

    Args:
        environment: where.
        extras: of pyproject.toml; those of earlier starts are added.
        build: of PyTorch: auto (what is there, else what the machine needs), cpu, cuda.

    Raises:
        StartError: this machine lacks something; the sentence says what to do.
    """
    before = environment.stamp()
    wanted = sorted(set(extras) | set(before.extras if before else ()))
    if build == "auto":
        build = before.torch if before else "cuda" if has_nvidia() else "cpu"
    check_parts()
    check_space(environment, build)
    environment.stamp_path.unlink(missing_ok=True)
    pip = Pip(environment.python, environment.folder / "start.log")
    pins = ["--constraint", str(environment.root / "constraints.txt")]
    with Stage(1, 5, _("Making the folder .venv")) as stage:
        is_moved = before is not None and before.root != str(environment.root)
        stage.detail = make_folder(environment, afresh=is_moved)
    with Stage(2, 5, _("Updating pip")) as stage:
        update_pip(pip, environment, stage)
    with Stage(3, 5, _("Installing PyTorch")) as stage:
        stage.detail = _("looking for the right build")
        torch = choose_torch(pip, environment, build)
        pip.install(*torch, *pins, doing="PyTorch", stage=stage)
        stage.detail = environment.installed("torch")
    with Stage(4, 5, _("Installing the workshop")) as stage:
        me = ["--editable", f"{environment.root}[{','.join(wanted)}]"]
        pip.install(*me, *pins, doing="Sparrow", stage=stage)
        stage.detail = ", ".join(wanted)
    with Stage(5, 5, _("Trying it")) as stage:
        stage.detail = prove(environment)
    environment.write_stamp(wanted, build)


def has_nvidia() -> bool:
    """Whether an NVIDIA card and its driver answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "GPU" in done.stdout


def check_parts() -> None:
    """Debian packs the making of environments apart from Python.

    Raises:
        StartError: it is missing.
    """
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise StartError(
                _(
                    "This Python comes without {module}: on Debian and Ubuntu run "
                    "sudo apt install python{version}-venv, then the same command "
                    "again.",
                    module=module,
                    version="{}.{}".format(*sys.version_info[:2]),
                )
            )


def check_space(environment: Environment, build: str) -> None:
    """Refuse before the first byte is written.

    Raises:
        StartError: the disk is too full.
    """
    files = environment.folder.rglob("*")
    there = sum(path.lstat().st_size for path in files if path.is_file())
    needed = max(NEEDED_GIB[build] - there / GIB, 0.5)
    free = shutil.disk_usage(environment.root).free / GIB
    if free < needed:
        raise StartError(
            _(
                "{folder} has {free:.1f} GiB free and {needed:.1f} GiB are needed: "
                "free some space, or move the project to another disk.",
                folder=environment.root,
                free=free,
                needed=needed,
            )
        )


def make_folder(environment: Environment, *, afresh: bool) -> str:
    """Make the environment, unless a healthy one is there.

    Args:
        environment: where.
        afresh: begin anew in any case: the project's folder was moved.

    Returns:
        What was done.

    Raises:
        StartError: Python could not make it.
    """
    if not afresh and environment.installed("pip"):
        return _("it is there already")
    folder = str(environment.folder)
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["?"]
        raise StartError(
            _(
                "The environment {folder} could not be made ({reason}): mend the cause "
                "and run the same command again.",
                folder=folder,
                reason=lines[-1],
            )
        )
    return f"Python {environment.python_version()}"


def update_pip(pip: Pip, environment: Environment, stage: Stage) -> None:
    """A newer pip shows its progress and resumes downloads; an old one will do."""
    wanted = environment.pins()["pip"]
    try:
        pip.install(f"pip=={wanted}", doing="pip", stage=stage)
    except StartError:
        stage.detail = _("not found; the one that came with Python will do")
    else:
        stage.detail = wanted


def choose_torch(pip: Pip, environment: Environment, build: str) -> list[str]:
    """What pip is asked for: never a CUDA build where there is no card."""
    version = environment.pins()["torch"]
    plain, cpu = f"torch=={version}", f"torch=={version}+cpu"
    if build == "cuda":
        if environment.installed("torch").endswith("+cpu"):
            pip.uninstall("torch")  # else it would satisfy the plain version
        return [plain]
    if sys.platform != "linux":
        return [plain]  # elsewhere these wheels are for the CPU
    return [cpu] if pip.would_find(cpu) else [cpu, "--extra-index-url", CPU_INDEX]


def prove(environment: Environment) -> str:
    """Import PyTorch and the library once.

    Returns:
        Which PyTorch it is.

    Raises:
        StartError: it does not start.
    """
    done = subprocess.run(
        [environment.python, "-c", PROVE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StartError(
            _(
                "PyTorch was installed but does not start ({reason}): remove the "
                "folder {folder} and run the same command again.",
                reason=(done.stderr.strip().splitlines() or ["?"])[-1],
                folder=environment.folder,
            )
        )
    version, build = done.stdout.split()
    kind = _("for the CPU") if build == "cpu" else f"CUDA {build}"
    return f"PyTorch {version.split('+')[0]}, {kind}"
