"""What every test may rely on: no network, its own folders, and honest skips.

Bubblewrap, Chromium, Node and SmolLM2's weights may be missing on a learner's machine:
tests that need one are skipped there, with a word. `--require-everything` turns such a
skip into a failure: `.ci/run` installs all of them.
"""

import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: two workers on two cores must not fight for both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from sparrow import assets

REAL_CACHE = assets.folder_of("smollm2").parent


def _bubblewrap_works() -> bool:
    """Installed is not enough: a kernel may forbid what it needs."""
    if shutil.which("bwrap") is None:
        return False
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


NEEDS = {
    "needs_bubblewrap": (_bubblewrap_works, "bubblewrap does not work here"),
    "needs_chromium": (lambda: chromium() is not None, "Chromium is not installed"),
    "needs_node": (lambda: shutil.which("node") is not None, "Node is not installed"),
}


def chromium() -> str | None:
    """The system's Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-everything",
        action="store_true",
        help="fail, not skip, where bubblewrap, Chromium, Node or weights are missing",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, (_is_there, reason) in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: skipped where {reason}")


def _missing(config: pytest.Config, reason: str) -> None:
    """Skip with a word, or fail where everything was promised."""
    if config.getoption("--require-everything"):
        pytest.fail(f"{reason}, and --require-everything was asked for")
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, (is_there, reason) in NEEDS.items():
        if item.get_closest_marker(name) and not is_there():
            _missing(item.config, reason)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the person's own work."""
    monkeypatch.setenv("SPARROW_HOME", str(tmp_path / "sparrow-home"))
    monkeypatch.delenv("SPARROW_LANGUAGE", raising=False)
    monkeypatch.delenv("SPARROW_COURSE", raising=False)


@pytest.fixture(autouse=True)
def _no_network(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only this machine may be spoken to, unless a test is marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])  # type: ignore[index]
            is_here = host == "localhost"
            try:
                is_here = is_here or ipaddress.ip_address(host).is_loopback
            except ValueError:
                is_here = is_here or False
            if not is_here:
                raise RuntimeError(f"a test tried to reach {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def smollm2(pytestconfig: pytest.Config) -> Path:
    """The folder of the real weights, if they were fetched on this machine."""
    if not assets.is_whole("smollm2"):
        _missing(pytestconfig, "run once: sparrow assets get smollm2")
    return REAL_CACHE / "smollm2"


@pytest.fixture(scope="session")
def _browser() -> Iterator[object]:
    """One headless Chromium for all tests of a worker."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*arguments, "--disable-component-update"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(_browser: object) -> Iterator[object]:
    """A fresh page; requests to other hosts are refused and kept in `foreign`."""
    context = _browser.new_context(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    fresh = context.new_page()
    fresh.foreign = []

    def refuse_foreign(route: object) -> None:
        url = route.request.url  # type: ignore[attr-defined]
        if url.startswith(
            ("http://127.0.0.1", "http://localhost", "file:", "data:", "blob:")
        ):
            route.continue_()  # type: ignore[attr-defined]
        else:
            fresh.foreign.append(url)
            route.abort()  # type: ignore[attr-defined]

    context.route("**/*", refuse_foreign)
    yield fresh
    context.close()
