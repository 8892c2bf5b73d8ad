"""Start the workshop as `make start` does, in a copy, and drive JupyterLab's pages."""

import contextlib
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workshop.start.environment import Environment

REPOSITORY = Path(__file__).parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"
# JupyterLab opens again what was open before: not what a person left, or a test.
OWN_FOLDERS = (
    *("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"),
    *("JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR"),
)
START_S = 90
RUN_S = 240
COPIED = ("pyproject.toml", "constraints.txt", "nbgrader_config.py")
NO_CACHES = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)(/lab/\S*)\?token=(\S+)")
# What the page shows of a kernel that rests, and of a notebook that is not saved.
STILL = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
UNSAVED = ".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-dirty"


def copy_checkout(folder: Path) -> Path:
    """A checkout whose labs a test may change; its `.venv` is this environment."""
    for name in ("tools", "src", "labs", "solutions"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=NO_CACHES)
    for name in COPIED:
        shutil.copy(REPOSITORY / name, folder)
    environment = Environment(folder)
    environment.folder.mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.name != environment.stamp_path.name:
            (environment.folder / each.name).symlink_to(each)
    environment.write_stamp(["labs"], "cpu")
    return folder


@contextmanager
def opened(checkout: Path, **settings: str) -> Iterator["LabServer"]:
    """The server that `tools/start.py` starts, until the block ends."""
    own = {name: str(checkout.parent / "jupyter" / name) for name in OWN_FOLDERS}
    process = subprocess.Popen(
        [sys.executable, "tools/start.py", "--no-browser", "--port", free_port()],
        cwd=checkout,
        env={
            **os.environ,
            **own,
            "OMP_NUM_THREADS": "1",  # two on one busy core are ten times slower
            "SPARROW_COURSE": str(checkout),
            **settings,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines))
    reader.start()
    try:
        yield LabServer(checkout, *_address(lines))
    finally:
        process.terminate()
        process.wait(timeout=30)
        reader.join()


def free_port() -> str:
    """A port of its own for each test that runs at the same time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)


def _address(lines: "queue.Queue[str]") -> tuple[str, str, str]:
    """Home, first page and token, as they are printed for a person."""
    said, until = "", time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            said += lines.get(timeout=1)
        except queue.Empty:
            continue
        if found := ADDRESS.search(said):
            return found[1], found[2], found[3]
    raise AssertionError(f"the server printed no address, but: {said}")


class LabServer:
    """A running server, and where it keeps its files."""

    def __init__(self, root: Path, home: str, first: str, token: str) -> None:
        self.root, self.home, self.first, self.token = root, home, first, token

    def open(self, page: Any, path: str = "") -> "Notebook":
        """A notebook in JupyterLab; the first page's, where none is named."""
        address = f"/lab/tree/{path}" if path else self.first
        page.goto(f"{self.home}{address}?token={self.token}")
        file = self.root / address.removeprefix("/lab/tree/")
        return Notebook(page, file)


class Notebook:
    """A notebook that is open in JupyterLab, and its file as the learner saves it."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page, self.file = page, file
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.panel.locator(".jp-Cell").first.wait_for(timeout=60_000)
        self.rest()

    def run_all(self) -> None:
        """Run, Run All Cells; then until every cell has run, or one has failed."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        until = time.monotonic() + RUN_S
        while not self.has_run():
            assert time.monotonic() < until, f"still running after {RUN_S} s"
            self.rest()
            self.save()

    def has_run(self) -> bool:
        """What the saved file says; between two cells the kernel rests as well."""
        cells = self.code_cells()
        return all(each["execution_count"] for each in cells) or bool(errors_of(cells))

    def rest(self) -> None:
        """Wait until the kernel has nothing left to do."""
        self.page.wait_for_timeout(500)  # the page learns a little later that it works
        self.panel.locator(STILL).wait_for(timeout=RUN_S * 1000)

    def save(self) -> None:
        """Ctrl+S, then until the tab has lost its mark of unsaved work."""
        self.page.keyboard.press("Control+s")
        self.page.wait_for_timeout(200)
        self.page.locator(UNSAVED).wait_for(state="detached", timeout=20_000)

    def cells(self) -> list[dict[str, Any]]:
        """The cells of the saved file; while it is being saved, it may be empty."""
        for _try in range(50):
            with contextlib.suppress(json.JSONDecodeError):
                found: list[dict[str, Any]] = json.loads(self.file.read_text("utf-8"))[
                    "cells"
                ]
                return found
            time.sleep(0.1)
        raise AssertionError(f"{self.file} is no notebook")

    def code_cells(self) -> list[dict[str, Any]]:
        """Those that run."""
        return [each for each in self.cells() if each["cell_type"] == "code"]

    def cell(self, words: str) -> Any:
        """The first cell that contains these words, brought into view.

        JupyterLab keeps only the cells near the window in its page: so it scrolls.
        """
        found = self.panel.locator(".jp-Cell").filter(has_text=words).first
        window = self.panel.locator(".jp-WindowedPanel-outer")
        window.evaluate("it => it.scrollTo(0, 0)")
        for _step in range(200):
            self.page.wait_for_timeout(60)
            if found.count():
                found.scroll_into_view_if_needed()
                return found
            window.evaluate("it => it.scrollBy(0, it.clientHeight * 0.7)")
        raise AssertionError(f"no cell shows {words!r}")

    def write(self, words: str, source: str) -> Any:
        """Replace the text of the cell that contains these words, as by pasting."""
        cell = self.cell(words)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        return cell

    def add_below(self, source: str) -> None:
        """A new cell of the learner's own: Escape, B, Enter, and write."""
        for key in ("Escape", "b", "Enter"):
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(300)  # the new cell takes the cursor
        self.page.keyboard.insert_text(source)

    def run_this(self) -> None:
        """Shift + Enter: run the cell with the cursor and go to the next."""
        self.page.keyboard.press("Shift+Enter")
        self.rest()

    def picture(self, name: str) -> Path:
        """A screenshot to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(400)  # cells that came into view are drawn late
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


def text_of(cell: dict[str, Any]) -> str:
    """All that a cell shows as text."""
    found = []
    for each in cell.get("outputs", []):
        found.append("".join(each.get("text", "")))
        found.append("".join(each.get("data", {}).get("text/plain", "")))
        found += each.get("traceback", [])
    return "\n".join(found)


def errors_of(cells: list[dict[str, Any]]) -> list[str]:
    """What went wrong in these cells, as `kind: sentence`."""
    return [
        f"{each['ename']}: {each['evalue']}"
        for cell in cells
        for each in cell.get("outputs", [])
        if each["output_type"] == "error"
    ]
