"""Is all around it ready: sandbox, browser, ports, weights, rights to write?"""

import shutil
import stat
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from sparrow import assets, runtime
from sparrow.errors import AssetError, SparrowError
from sparrow.language import _
from workshop.doctor.finding import Finding, Level
from workshop.start import jupyter

__all__ = [
    "browser",
    "clock",
    "port",
    "proxy",
    "sandbox",
    "shared",
    "weights",
    "writing",
]

TRY_SANDBOX = ("--unshare-all", "--ro-bind", "/", "/", "true")


def clock(project: Path) -> Finding:
    """The time; without a network or a battery a machine may have lost it."""
    topic, now = "clock", datetime.now().astimezone()
    newest = max(
        (each.stat().st_mtime for each in (project, *project.glob("*"))), default=0.0
    )
    found = now.isoformat(sep=" ", timespec="minutes")
    if now.timestamp() >= newest:
        return Finding(topic=topic, level="ok", found=found)
    return Finding(
        topic=topic,
        level="warning",
        found=_("{now}, before files of this project were written", now=found),
        fix="sudo timedatectl set-ntp false; "
        "sudo timedatectl set-time '2026-12-01 08:00:00'",
    )


def sandbox() -> Finding:
    """Bubblewrap, proved by running it: a kernel may forbid what it needs."""
    topic = "sandbox"
    if sys.platform != "linux":
        found = _("none here: grading runs on Linux")
        return Finding(topic=topic, level="info", found=found)
    if shutil.which("bwrap") is None:
        return Finding(
            topic=topic,
            level="warning",
            found=_("bubblewrap is not installed; only grading needs it"),
            fix="sudo apt install bubblewrap",
        )
    done = subprocess.run(
        ["bwrap", *TRY_SANDBOX], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return Finding(topic=topic, level="ok", found=_("bubblewrap works"))
    reason = (done.stderr.strip().splitlines() or ["?"])[-1]
    return Finding(
        topic=topic,
        level="warning",
        found=_("bubblewrap is refused ({reason})", reason=reason),
        fix=_(
            "Allow user namespaces: "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 "
            "(Ubuntu), or run grading on another machine."
        ),
    )


def browser() -> Finding:
    """Chromium, which only the tests drive."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    found = program or _("no Chromium; only the project's own tests need it")
    return Finding(topic="browser", level="ok" if program else "info", found=found)


def proxy() -> Finding:
    """What brings each browser to its own server in a hub."""
    topic, name = "proxy", "configurable-http-proxy"
    if sys.platform != "linux":
        found = _("none here: a hub runs on Linux")
        return Finding(topic=topic, level="info", found=found)
    if program := shutil.which(name):
        return Finding(topic=topic, level="ok", found=program)
    return Finding(
        topic=topic,
        level="info",
        found=_("{name} is not installed; only a hub needs it", name=name),
        fix=f"sudo npm install --global {name}@5.1",
    )


def port(first: int = jupyter.FIRST_PORT) -> Finding:
    """Where JupyterLab will listen."""
    topic = "port"
    try:
        free = jupyter.free_port(first)
    except SparrowError as error:
        return Finding(
            topic=topic,
            level="error",
            found=_("none is free"),
            fix=str(error),
        )
    if free == first:
        return Finding(topic=topic, level="ok", found=_("{n} is free", n=first))
    found = _("{first} is taken; {free} will be used", first=first, free=free)
    return Finding(topic=topic, level="info", found=found)


def weights(name: str) -> Finding:
    """Whether the real weights are here, and are what they must be."""
    topic = "weights"
    fix = f"sparrow assets get {name}"
    is_there = (assets.folder_of(name) / assets.ASSETS[name].file_name).exists()
    try:
        folder = assets.find(name)
    except AssetError:
        if is_there:
            found = _("{name} is damaged: its hash is not the expected one", name=name)
            return Finding(topic=topic, level="error", found=found, fix=fix)
        found = _("{name} was not fetched yet", name=name)
        return Finding(topic=topic, level="warning", found=found, fix=fix)
    found = _("{name} is whole, in {folder}", name=name, folder=folder)
    return Finding(topic=topic, level="ok", found=found)


def writing(root: Path) -> list[Finding]:
    """Whether the folders that people write to can be written."""
    places = {
        "labs": (root / "labs", ""),
        "cache": (runtime.cache_folder(), "SPARROW_CACHE"),
        "home": (runtime.home_folder(), "SPARROW_HOME"),
    }
    return [_writable(topic, *place) for topic, place in places.items()]


def _writable(topic: str, folder: Path, setting: str) -> Finding:
    """Prove it with a file that has no name, and make no folder."""
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        other = _(
            "Make it writable for you, or set {name} to another folder.", name=setting
        )
        return Finding(
            topic=topic,
            level="error",
            found=_(
                "{folder} cannot be written: {reason}", folder=folder, reason=reason
            ),
            fix=other if setting else _("Make it writable for you."),
        )
    return Finding(topic=topic, level="ok", found=str(folder))


def shared(prefix: Path) -> Finding:
    """Whether other users of this machine could run this Python, as on a hub."""
    topic = "shared"
    level: Level = "info"
    for folder in (prefix, *prefix.parents):
        is_last = folder == prefix
        needed = stat.S_IXOTH | (stat.S_IROTH if is_last else 0)
        if folder.stat().st_mode & needed != needed:
            found = _(
                "other users cannot read {folder}; a hub needs a Python that they can",
                folder=folder,
            )
            fix = _(
                "Only for a hub: sudo apt install python3 python3-venv, delete .venv, "
                "then sudo make setup PYTHON=/usr/bin/python3"
            )
            return Finding(topic=topic, level=level, found=found, fix=fix)
    return Finding(topic=topic, level="ok", found=_("every user can run this Python"))
