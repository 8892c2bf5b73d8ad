"""Open JupyterLab on the labs, on a port that is free, with the book beside it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from sparrow.language import _
from workshop.start.failures import StartError, StartUsageError
from workshop.start.progress import clock

__all__ = ["command", "free_port", "open_labs"]

FIRST_PORT = 8888
TRIES = 50
HOST = "127.0.0.1"
PATIENCE_S = 60
# Everything else in the project's folder is for those who write labs.
HIDDEN = ("solutions", "src", "tools", "tests", "*.toml", "*.txt", "*.cff", "Makefile")
HIDDEN_TOO = ("__pycache__", "_*", "environment.yml", "nbgrader_config.py", "LICENSE*")


def free_port(first: int) -> int:
    """The first port from `first` on that nobody listens on.

    Raises:
        StartUsageError: not a port number that an ordinary program may use.
        StartError: all of them are taken.
    """
    if not 1024 <= first <= 65535:
        raise StartUsageError(
            _("A port is a number from 1024 to 65535, not {port}.", port=first)
        )
    last = min(first + TRIES, 65536)
    for port in range(first, last):
        with socket.socket() as probe:
            if sys.platform != "win32":  # there it would allow a second listener
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StartError(
        _(
            "The ports {first} to {last} are all taken: choose another with --port.",
            first=first,
            last=last - 1,
        )
    )


def first_page(root: Path) -> str:
    """The tour if it is there, else the labs."""
    tour = Path("labs/tour/tour.ipynb")
    return (
        f"/lab/tree/{tour.as_posix()}" if (root / tour).exists() else "/lab/tree/labs"
    )


def command(python: Path, root: Path, port: int, *, browser: bool) -> list[str]:
    """The server's command line; its token travels in the environment."""
    (root / "labs").mkdir(exist_ok=True)
    hidden = [*HIDDEN, *HIDDEN_TOO]
    line = [str(python), "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    line += [f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}"]
    line += ["--ServerApp.port_retries=0", "--ServerApp.answer_yes=True"]
    line += [f"--FileContentsManager.preferred_dir={root / 'labs'}"]
    line += [f"--ServerApp.default_url={first_page(root)}"]
    line += [f"--LabApp.default_url={first_page(root)}"]
    line += [f"--ContentsManager.hide_globs={hidden}"]
    line += ["--LabApp.extension_manager=readonly"]  # the other one asks a registry
    line += ["--Application.log_level=ERROR"]
    if not browser:
        line += ["--ServerApp.open_browser=False"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line += ["--ServerApp.allow_root=True"]  # in a container
    return line


def open_labs(python: Path, root: Path, first: int, *, browser: bool) -> int:
    """Serve until it is stopped; return the exit status.

    Raises:
        StartError: the server did not come up.
    """
    began = time.monotonic()
    port = free_port(first)
    token = secrets.token_urlsafe(24)
    server = subprocess.Popen(
        command(python, root, port, browser=browser),
        cwd=root,  # nbgrader takes the course from here
        env={**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1"},
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    try:
        wait_for(server, port)
        home = f"http://{HOST}:{port}"
        print(welcome(root, home, token, time.monotonic() - began), flush=True)
        if port != first:
            taken = _(
                "Port {first} is taken, so this one has {port}.", first=first, port=port
            )
            print(f"  {taken}\n", flush=True)
        server.wait()
    except KeyboardInterrupt:
        server.wait(timeout=30)  # Ctrl+C reached it too
    finally:
        if server.poll() is None:
            server.terminate()
    print("\n" + _("Stopped. What you saved is in {folder}.", folder=root / "labs"))
    return 0


def wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Until it answers."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/api", timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise StartError(
        _(
            "JupyterLab did not start within {time}; its own words are above. Run the "
            "same command again, or remove the folder .venv first.",
            time=clock(PATIENCE_S),
        )
    )


def welcome(root: Path, home: str, token: str, seconds: float) -> str:
    """What a person reads when everything is open."""
    lines = [
        _("Sparrow is open ({time:.1f} s). In your browser:", time=seconds),
        "",
        f"    {home}{first_page(root)}?token={token}",
        "",
    ]
    if (root / "book/_build/html/index.html").exists():
        lines += [_("The book, on the same server:"), "", f"    {home}/book/", ""]
    lines += [
        _("Stop with Ctrl+C. Your work is kept in {folder}.", folder=root / "labs")
    ]
    return "\n" + "\n".join(f"  {line}" if line else "" for line in lines) + "\n"
