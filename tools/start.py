"""Set up the workshop on this machine and open it: `python tools/start.py`.

Only the standard library is used, so that this runs before anything is installed, on
Linux, macOS and Windows. A second start needs no network: what was installed is
remembered in `.venv/installed`, and checked by a hash of what was asked for.

    --check            set up only, do not open JupyterLab
    --extras A,B       which extras to install (default: labs)
    --no-browser       print the address, do not open a browser
    --port N           the first port to try (default: 8888)

    TORCH=auto|cpu|cuda   which build of PyTorch (default: auto, by the card found)
"""

import argparse
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABS = ROOT / "labs"
BOOK = ROOT / "book/_build/html"
VENV = ROOT / ".venv"
STAMP = VENV / "installed"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST_PYTHON = (3, 11)
SPACE_GB = {"cpu": 4, "cuda": 10}  # a full environment, with what pip unpacks
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PORTS_TRIED = 50


class SetupError(Exception):
    """One sentence that says what is wrong and what to do."""


def say(text: str) -> None:
    """Progress goes to stderr, one line a stage."""
    print(f"sparrow: {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> int:
    """Set up, then open; 0 ok, 1 something is missing, 2 wrong usage."""
    try:
        check_python(sys.version_info[:2])
        options = read_options(argv)
        set_up(options.extras)
        if options.check:
            return 0
        return open_lab(options.port, browser=not options.no_browser)
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("stopped; run the same command again to go on where it stopped.")
        return 1


def read_options(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; argparse exits with 2 where it is wrong."""
    parser = argparse.ArgumentParser(
        description="Set up the workshop on this machine and open it."
    )
    parser.add_argument("--check", action="store_true", help="set up only")
    parser.add_argument("--extras", default="labs", help="extras to install")
    parser.add_argument("--no-browser", action="store_true", help="print the address")
    parser.add_argument("--port", type=int, default=8888, help="first port to try")
    return parser.parse_args(argv)


def check_python(version: tuple[int, ...]) -> None:
    """Refuse a Python that is too old."""
    if version < OLDEST_PYTHON:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is too old, "
            f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed: install it, "
            "then run this file with it, for example: python3.12 tools/start.py"
        )


# --- setting up ------------------------------------------------------------------


def set_up(extras: str) -> None:
    """Make `.venv` hold what was asked for, unless it does already."""
    wanted = fingerprint(extras)
    if is_installed(wanted):
        return
    started = time.monotonic()
    kind = torch_kind()
    check_space(SPACE_GB[kind])
    make_venv()
    say(f"installing (PyTorch for {kind}); the first time takes some minutes …")
    install_torch(kind)
    say("PyTorch is here; installing the rest …")
    pip("install", "-c", "constraints.txt", "-e", f".[{extras}]")
    quieten_lab()
    STAMP.write_text("\n".join(sorted({*installed(), wanted})), "utf-8")
    say(f"ready after {time.monotonic() - started:.0f} s.")


def fingerprint(extras: str) -> str:
    """What a finished installation depends on."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    digest.update(f"{sys.version_info[:3]} {ROOT}".encode())
    return f"{digest.hexdigest()} {','.join(sorted(extras.split(',')))}"


def installed() -> list[str]:
    """The fingerprints of what `.venv` holds; those of other versions are dropped."""
    if not (STAMP.exists() and PYTHON.exists()):
        return []
    current = fingerprint("").split(" ")[0]
    lines = STAMP.read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith(current)]


def is_installed(wanted: str) -> bool:
    """Whether these extras, or more, are there."""
    extras = set(wanted.split(" ")[1].split(","))
    return any(extras <= set(line.split(" ")[1].split(",")) for line in installed())


def torch_kind() -> str:
    """`cuda` where there is an NVIDIA card that answers, else `cpu`."""
    asked = os.environ.get("TORCH", "auto")
    if asked not in ("auto", "cpu", "cuda"):
        raise SetupError(f"TORCH is {asked}; it must be auto, cpu or cuda.")
    if asked != "auto":
        return asked
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "cpu"
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return "cuda" if "GPU 0" in answer.stdout else "cpu"


def check_space(needed_gb: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < needed_gb:
        raise SetupError(
            f"{ROOT} has {free_gb:.1f} GB free and {needed_gb} GB are needed: free "
            "some space, or move this folder to another disk."
        )


def make_venv() -> None:
    """An environment of our own, so that nothing else on the machine changes."""
    if PYTHON.exists():
        return
    say("making an environment in .venv …")
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode or not PYTHON.exists():
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            "Python cannot make an environment here; on Debian or Ubuntu run: "
            "sudo apt install python3-venv"
        )


def install_torch(kind: str) -> None:
    """The build that fits: plain wheels hold several GB of CUDA on Linux."""
    pinned = torch_pin()
    if kind == "cuda" or sys.platform != "linux":
        pip("install", pinned)
    elif pip_finds(f"{pinned}+cpu"):  # a wheel that pip is set up to find
        pip("install", f"{pinned}+cpu")
    else:
        pip("install", pinned, "--index-url", TORCH_CPU_INDEX)


def torch_pin() -> str:
    """The line of constraints.txt that names PyTorch, such as `torch==2.13.0`."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def pip_finds(requirement: str) -> bool:
    """Whether pip, as it is set up here, could install exactly this."""
    command = [str(PYTHON), "-m", "pip", "install", "--dry-run", "--no-deps"]
    tried = subprocess.run(
        [*command, "--quiet", requirement], capture_output=True, check=False
    )
    return tried.returncode == 0


def pip(*arguments: str) -> None:
    """Run pip; its own progress bars stay visible, its chatter does not."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    command.insert(command.index("install") + 1, "--quiet")
    command += ["--progress-bar", "on"]
    done = subprocess.run(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode == 0:
        return
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    raise SetupError(explain(errors[0] if errors else done.stderr.strip()[-200:]))


def explain(error: str) -> str:
    """Turn pip's error into what a person can do."""
    lowered = error.lower()
    if "no space left" in lowered:
        return "the disk is full: free some space, then run the same command again."
    offline = ("could not find a version", "no matching distribution", "connection")
    if any(sign in lowered for sign in offline):
        return (
            "pip could not reach its packages: check the network, or point pip to a "
            "folder of wheels (PIP_FIND_LINKS), then run the same command again. "
            f"pip said: {error}"
        )
    return f"pip failed; run the same command again. pip said: {error}"


def quieten_lab() -> None:
    """JupyterLab asks at its first start whether to fetch news: nobody is asked."""
    folder = VENV / "etc/jupyter/labconfig"
    folder.mkdir(parents=True, exist_ok=True)
    off = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "page_config.json").write_text(json.dumps(off), "utf-8")


# --- opening ---------------------------------------------------------------------


def open_lab(first_port: int, *, browser: bool) -> int:
    """Start JupyterLab on the labs, with the book beside it."""
    port = free_port(first_port)
    page = "/tree/tour/tour.ipynb" if (LABS / "tour/tour.ipynb").exists() else ""
    token = secrets.token_urlsafe(16)
    address = f"http://localhost:{port}"
    say(f"opening {address}/lab{page}?token={token}")
    if (BOOK / "index.html").exists():
        say(f"the book is at {address}/book/index.html")
    say("press Ctrl-C here to end.")
    command = [str(PYTHON), "-m", "jupyter", "lab", *lab_settings(port)]
    command.append(f"--LabApp.default_url=/lab{page}")
    if not browser:
        command.append("--no-browser")
    environment = {**os.environ, "JUPYTER_TOKEN": token}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def lab_settings(port: int) -> list[str]:
    """How JupyterLab is started: on the labs, asking nothing, telling nobody."""
    return [
        f"--ServerApp.root_dir={LABS}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.jpserver_extensions={'sparrow.lab.server': True}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--log-level=WARN",
    ]


def free_port(first: int) -> int:
    """The first free port from `first` on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(
        f"no port from {first} to {first + PORTS_TRIED - 1} is free: close another "
        "server, or give one with --port."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
