"""A class in which most hand in an attack and some are honest; and who watches it.

Each attack is a short notebook in `submissions/`: what it tries, then the cell that is
handed in as the answer to exercise 0.2. Some need more than a cell: `TRICKS` has it.
"""

import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import psutil
from nbformat.v4 import new_markdown_cell, new_output

from tests.evil.ordinary import Ordinary
from tests.tools.small_course import REPOSITORY

LAB = "00_preflight"
ATTACKS = {
    path.stem: path
    for path in sorted((Path(__file__).parent / "submissions").glob("*.md"))
}
HONEST = ("aida", "gabriel", "quentin", "quinn", "zoe")
REFUSED = {"hands_in_a_link", "has_many_cells", "notebook_of_100_mb"}
WORKERS = 2
LIMITS = {
    "seconds": 4,
    "memory_gib": 0.5,
    "processes": 16,
    "file_mib": 16,
    "output_kib": 512,
}
HIT = "<img src=x onerror=hit()><script>hit()</script>"


@dataclass
class Room:
    """The course folder, what nobody may find, and what was heard and seen."""

    course: Path
    kept_secret: str
    heard: list[bytes] = field(default_factory=list)
    least_free_gib: float = 0.0  # compared with the beginning
    most_processes: int = 0
    seconds: float = 0.0
    load_before: float = 0.0  # of each core
    output: str = ""
    status: int = -1


def open_room(course: Path, grader: Ordinary | None = None) -> Room:
    """Everybody hands in, and one command grades them all: as who we are, or another.

    Args:
        course: an empty folder.
        grader: whose course it is.
    """
    room = Room(course, f"kept-secret-{secrets.token_hex(8)}")
    with ExitStack() as stack:
        ports = stack.enter_context(_ears(room))
        _prepare(room, ports)
        if grader is not None:
            grader.own(course)
        before = _digests(course)
        stack.enter_context(_watch(room))
        room.load_before = os.getloadavg()[0] / (os.cpu_count() or 1)
        started = time.monotonic()
        _grade(room, grader)
        room.seconds = time.monotonic() - started
    assert _digests(course) == before, "what was handed in, or the solution, changed"
    return room


# ---- what is handed in ----


def _prepare(room: Room, ports: tuple[int, int]) -> None:
    shutil.copy(REPOSITORY / "nbgrader_config.py", room.course)
    full = nbformat.read(REPOSITORY / "solutions" / LAB / f"{LAB}.ipynb", 4)
    full.metadata.sparrow.limits = LIMITS
    _cell(full, "answer-0-2").source += f"\n# {room.kept_secret}"
    _write(full, room.course / "solutions" / LAB)
    for learner in HONEST:
        honest = nbformat.from_dict(full.copy())
        honest.cells[0].source += f" By {learner}."
        _cell(honest, "answer-0-1").source += f"\n# {learner} {room.kept_secret * 9}"
        _write(honest, _folder(room, learner))
    people = []
    for learner, path in ATTACKS.items():
        attack = jupytext.reads(path.read_text("utf-8"), fmt="md:myst")
        words, code = attack.cells
        for name, value in (
            ("COURSE", room.course),
            ("TCP_PORT", ports[0]),
            ("UDP_PORT", ports[1]),
        ):
            code.source = code.source.replace(name, str(value))
        notebook = nbformat.read(REPOSITORY / "labs" / LAB / f"{LAB}.ipynb", 4)
        notebook.cells.insert(0, new_markdown_cell(words.source, id="words"))
        _cell(notebook, "answer-0-2").source = code.source
        _write(notebook, _folder(room, learner))
        TRICKS.get(learner, _none)(_folder(room, learner), notebook)
        people.append({"account": learner, "name": '=HYPERLINK("http://x";"A")'})
    (room.course / ".workshop").mkdir(mode=0o700)
    (room.course / ".workshop" / "roster.json").write_text(json.dumps(people))
    (room.course / ".workshop" / "kept").write_text(room.kept_secret)


def _cell(notebook: Any, name: str) -> Any:
    return next(each for each in notebook.cells if each.get("id") == name)


def _folder(room: Room, learner: str) -> Path:
    return room.course / "submitted" / learner / LAB


def _write(notebook: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{LAB}.ipynb")


def _none(_folder: Path, _notebook: Any) -> None:
    """Most attacks need no trick."""


def _metadata(folder: Path, notebook: Any) -> None:
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader")
        if about is None:
            continue
        about.update(points=1000, score=1000, auto_score=1000, manual_score=1000)
        about.update(grade=True, locked=False)
        cell.metadata["sparrow"] = {"points": 1000, "passed": True, "limits": {}}
        if cell.cell_type == "code" and about["grade_id"].startswith("check"):
            cell.source = "score = 1000"
            cell.outputs = [new_output("stream", text="✓ Exercise 0.2 passes.\n")]
    notebook.metadata["sparrow"]["limits"] = {"seconds": 10**9}
    notebook.metadata["nbgrader"] = {"score": 1000, "max_score": 1000}
    _write(notebook, folder)


def _links(folder: Path, _notebook: Any) -> None:
    course = folder.parents[2]
    (folder / "ledger.json").symlink_to(course / "gradebook.db")
    (folder / "more").symlink_to(course / ".workshop")


def _archives(folder: Path, _notebook: Any) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED, True, 1) as to:
        to.writestr("zeros", bytes(200 << 20))
    with zipfile.ZipFile(folder / "ledger.json.zip", "w") as to:
        for name in ("../../../../gradebook.db", "/tmp/evil", "..\\..\\evil"):
            to.writestr(name, "evil")
    with tarfile.open(folder / "my_sparrow.tar", "w") as to:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(folder.parents[2])
        to.addfile(link)
        inside = tarfile.TarInfo("out/gradebook.db")
        inside.size = 4
        to.addfile(inside, io.BytesIO(b"evil"))


def _script(folder: Path, notebook: Any) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            data = {
                "text/html": HIT,
                "application/javascript": "hit()",
                "image/svg+xml": "<svg onload=hit()></svg>",
            }
            cell.outputs = [new_output("display_data", data=data)]
            cell.metadata["tags"] = [HIT]
            cell.metadata[HIT] = HIT
    written = _cell(notebook, "answer-0-6")
    written.source = f"{HIT} [x](javascript:hit()) ![a](attachment:a.svg)"
    written.attachments = {"a.svg": {"image/svg+xml": "PHN2ZyBvbmxvYWQ9aGl0KCk+"}}
    notebook.metadata["title"] = HIT
    notebook.metadata["widgets"] = {HIT: {"state": {}}}
    notebook.metadata.kernelspec["display_name"] = HIT
    notebook.metadata["language_info"] = {"name": HIT, "pygments_lexer": HIT}
    _write(notebook, folder)
    (folder / f"{HIT.replace('/', '')}.html").write_text(HIT)


def _tags(folder: Path, notebook: Any) -> None:
    _cell(notebook, "answer-0-6").source = "<b>" * 33_000
    for each in range(3):
        text = "<div>" * 20_000 + "$x$" * 9_000
        notebook.cells.append(new_markdown_cell(text, id=f"more-{each}"))
    _write(notebook, folder)


def _cells(folder: Path, notebook: Any) -> None:
    more = [new_markdown_cell("x", id=f"more-{at}") for at in range(60_000)]
    path = folder / f"{LAB}.ipynb"
    notebook.cells += more
    path.write_text(json.dumps(notebook))


def _large(folder: Path, notebook: Any) -> None:
    text = "x" * 100_000_000
    _cell(notebook, "answer-0-2").outputs = [new_output("stream", text=text)]
    (folder / f"{LAB}.ipynb").write_text(json.dumps(notebook))


TRICKS: dict[str, Callable[[Path, Any], None]] = {
    "forges_metadata": _metadata,
    "hands_in_a_link": _links,
    "hands_in_archives": _archives,
    "acts_in_the_graders_browser": _script,
    "stalls_who_cleans_it": _tags,
    "has_many_cells": _cells,
    "notebook_of_100_mb": _large,
}


# ---- grading, and who watches ----


def _grade(room: Room, grader: Ordinary | None) -> None:
    """One command, in the course folder."""
    python = sys.executable if grader is None else str(grader.python)
    command = [python, "-c", "from workshop.cli import main; main()"]
    command += ["grade", LAB, "--workers", str(WORKERS)]
    told = {"SPARROW_KEPT_SECRET": room.kept_secret, "COLUMNS": "200"}
    told |= {"OMP_NUM_THREADS": "1"}
    person: dict[str, Any] = {}
    if grader is None:
        path = os.pathsep.join(each for each in sys.path if each)
        told = {**os.environ, "PYTHONPATH": path, **told}
    else:
        told |= {"PATH": "/usr/bin:/bin", "HOME": str(grader.folder / "home")}
        person = {"user": grader.name, "group": grader.name, "extra_groups": []}
    ran = subprocess.run(
        command,
        cwd=room.course,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
        **person,
    )
    room.status, room.output = ran.returncode, ran.stdout


def _digests(course: Path) -> dict[str, tuple[int, int]]:
    """Size and time of all that grading only reads."""
    found = {}
    for name in ("solutions", "submitted"):
        for path in (course / name).rglob("*"):
            about = path.lstat()
            found[str(path)] = (about.st_size, about.st_mtime_ns)
    return found


@contextmanager
def _ears(room: Room) -> Iterator[tuple[int, int]]:
    """Services of this machine that no submission may reach."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nameless,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as named,
    ):
        udp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        nameless.bind(f"\0sparrow-evil-{port}")
        named.bind(str(room.course / "socket"))
        for each in (nameless, named):
            each.listen()
        yield port, udp.getsockname()[1]
        for each in (tcp, nameless, named):
            each.setblocking(False)
            try:
                each.accept()
                room.heard.append(b"a connection")
            except BlockingIOError:
                pass
        udp.setblocking(False)
        with suppress(BlockingIOError):
            room.heard.append(udp.recv(100))
    (room.course / "socket").unlink()


@contextmanager
def _watch(room: Room) -> Iterator[None]:
    """Look at memory and processes of the whole machine, ten times a second."""
    stop = threading.Event()
    processes = len(psutil.pids())
    free = lowest = psutil.virtual_memory().available
    most = processes

    def look() -> None:
        nonlocal lowest, most
        while not stop.wait(0.1):
            lowest = min(lowest, psutil.virtual_memory().available)
            most = max(most, len(psutil.pids()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        room.least_free_gib = (free - lowest) / 1024**3
        room.most_processes = most - processes
