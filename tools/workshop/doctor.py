"""Look at the machine before the workshop does; each finding says how to mend it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import psutil
from rich.console import Console
from rich.table import Table

from sparrow import assets, runtime
from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["Finding", "doctor", "examine"]

ROOT = Path(__file__).parents[2]
GB = 10**9
OLDEST_PYTHON = (3, 11)
DISK_GB, MEMORY_GIB = 5, 4
PORTS = {8888: "JupyterLab", 8000: "JupyterHub"}
State = Literal["ok", "warning", "error"]
MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: what was found, and what to do where it is not well."""

    name: str
    state: State
    found: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Look at one thing after the other; an error in one hides no other."""
    for look in LOOKS:
        try:
            yield look()
        except SparrowError as error:
            yield Finding(name=look.__name__, state="error", found=str(error))


def python() -> Finding:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if tuple(sys.version_info[:2]) < OLDEST_PYTHON:
        fix = _("Install Python 3.11 or newer, then: python3.12 tools/start.py")
        return Finding(name=_("Python"), state="error", found=version, fix=fix)
    return Finding(name=_("Python"), state="ok", found=version)


def disk() -> Finding:
    """Room for checkpoints and notebooks."""
    free_gb = shutil.disk_usage(ROOT).free / GB
    found = _("{free:.0f} GB free", free=free_gb)
    if free_gb < DISK_GB:
        fix = _("Free some space: {need} GB are needed.", need=DISK_GB)
        return Finding(name=_("Disk"), state="error", found=found, fix=fix)
    return Finding(name=_("Disk"), state="ok", found=found)


def memory() -> Finding:
    """Main memory: the labs are made for 4 GiB."""
    total = psutil.virtual_memory().total / runtime.GIB
    found = _("{total:.1f} GiB, {cores} cores", total=total, cores=psutil.cpu_count())
    if total < MEMORY_GIB * 0.9:  # part of the memory is never the system's to give
        fix = _("The labs are made for {need} GiB: close other programs.", need=4)
        return Finding(name=_("Memory"), state="warning", found=found, fix=fix)
    return Finding(name=_("Memory"), state="ok", found=found)


def gpu() -> Finding:
    """The card, its memory, bf16 and driver; without a card the CPU tier is used."""
    here = runtime.machine()
    if here.tier == "gpu":
        found = _(
            "{name}, {memory:.0f} GiB, {dtype}, driver {driver}",
            name=here.device_name,
            memory=here.device_memory_gib,
            dtype=here.dtype,
            driver=_driver() or "?",
        )
        return Finding(name=_("GPU"), state="ok", found=found)
    if _driver():
        found = _(
            "a card with driver {driver}, which PyTorch cannot use", driver=_driver()
        )
        fix = _("Delete .venv, then run: TORCH=cuda make start")
        return Finding(name=_("GPU"), state="warning", found=found, fix=fix)
    found = _("none: the labs run on the CPU (PyTorch {torch})", torch=here.torch)
    return Finding(name=_("GPU"), state="ok", found=found)


def _driver() -> str:
    """The NVIDIA driver's version, or nothing."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, text=True, check=False)
    return told.stdout.split("\n")[0].strip() if told.returncode == 0 else ""


def bubblewrap() -> Finding:
    """The sandbox of grading; only Linux has it, and only instructors need it."""
    name = _("bubblewrap")
    if sys.platform != "linux":
        found = _("only on Linux; learners do not need it")
        return Finding(name=name, state="ok", found=found)
    tool = shutil.which("bwrap")
    if tool is None:
        fix = _("To grade on this machine: sudo apt install bubblewrap")
        return Finding(name=name, state="warning", found=_("missing"), fix=fix)
    tried = [tool, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        fix = _("Allow unprivileged user namespaces, or grade as root.")
        found = _("installed, but the kernel refuses it")
        return Finding(name=name, state="warning", found=found, fix=fix)
    return Finding(name=name, state="ok", found=_("works"))


def ports() -> Finding:
    """The ports that the servers take first."""
    taken = [f"{port} ({user})" for port, user in PORTS.items() if _is_taken(port)]
    name = _("Ports")
    if taken:
        fix = _("Nothing to do: the next free port is taken. Or close that program.")
        found = _("in use: {taken}", taken=", ".join(taken))
        return Finding(name=name, state="warning", found=found, fix=fix)
    return Finding(name=name, state="ok", found=_("8888 and 8000 are free"))


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def weights() -> Finding:
    """SmolLM2, which two labs and the tour use."""
    name = _("SmolLM2")
    if assets.is_whole("smollm2"):
        found = _("here, hash proved")
        return Finding(name=name, state="ok", found=found)
    is_damaged = any(assets.folder_of("smollm2").glob("*.gguf"))
    found = _("damaged") if is_damaged else _("not fetched yet")
    fix = _("With network, run once: sparrow assets get smollm2")
    state: State = "error" if is_damaged else "warning"
    return Finding(name=name, state=state, found=found, fix=fix)


def write_rights() -> Finding:
    """The folders that learners and commands write to."""
    name = _("Write rights")
    folders = [ROOT / "labs", runtime.cache_folder(), runtime.home_folder()]
    refused = [str(folder) for folder in folders if not _can_write(folder)]
    if refused:
        fix = _("Give yourself the right to write there, or choose other folders.")
        found = _("cannot write to {folders}", folders=", ".join(refused))
        return Finding(name=name, state="error", found=found, fix=fix)
    return Finding(name=name, state="ok", found=_("labs, cache and home folders"))


def _can_write(folder: Path) -> bool:
    """Whether the folder, or the nearest one above that exists, can be written."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def shared_python() -> Finding:
    """Whether other accounts can run this Python: a hub's learners must."""
    name = _("For a hub")
    home = Path(sys.base_prefix)
    closed = [each for each in (home, *home.parents) if not each.stat().st_mode & 0o005]
    if closed:
        fix = _("Only for JupyterHub: install Python in a place that all may read.")
        found = _("other accounts cannot enter {folder}", folder=closed[-1])
        return Finding(name=name, state="warning", found=found, fix=fix)
    return Finding(name=name, state="ok", found=_("other accounts can run this Python"))


LOOKS: tuple[Callable[[], Finding], ...] = (
    python,
    disk,
    memory,
    gpu,
    bubblewrap,
    ports,
    weights,
    write_rights,
    shared_python,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at this machine, and say how to mend what is not well.

    Ends with 0 where nothing is wrong (warnings allowed), with 1 where something is.
    """
    findings = list(examine())
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for each in findings:
            table.add_row(MARKS[each.state], f"[bold]{each.name}[/]", each.found)
            if each.fix:
                table.add_row("", "", f"[dim]→[/] {each.fix}")
        Console().print(table)
    ctx.exit(1 if any(each.state == "error" for each in findings) else 0)
