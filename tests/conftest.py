"""What every test may rely on: no network, its own folders, and honest skips.

Bubblewrap, Chromium, Node, PostgreSQL and SmolLM2's weights may be missing on a
learner's machine: tests that need one are skipped there, with a word.
`--require-everything` turns such a skip into a failure: `.ci/run` installs all of them.

Fixtures: `smollm2` (the folder of the real weights), `chromium` (a browser) and `page`
(a page of it, that cannot reach other hosts and keeps what it tried in `page.foreign`).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sparrow import assets, language
from tests import network_guard
from tests.tools import postgresql

REAL_CACHE = assets.folder_of("smollm2").parent
COMPILED = REAL_CACHE / "native"
FOREIGN_TO_TESTS = ("SPARROW_LANGUAGE", "SPARROW_DEVICE", "SPARROW_COURSE")


@cache
def bubblewrap_works() -> bool:
    """Installed is not enough: a kernel may forbid what it needs."""
    if shutil.which("bwrap") is None:
        return False
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@cache
def may_mount() -> bool:
    """A container may forbid it even to root."""
    with tempfile.TemporaryDirectory() as folder:
        line = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder]
        if shutil.which("mount") is None:
            return False
        if subprocess.run(line, capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def find_chromium() -> str | None:
    """The system's Chromium; playwright's own download is not needed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def may_open_a_hub() -> bool:
    """Root makes accounts on Linux, and the proxy brings people to their servers."""
    is_root = sys.platform == "linux" and os.geteuid() == 0
    return is_root and bool(shutil.which("configurable-http-proxy"))


def may_compile() -> bool:
    """Whether the compiled steps can be had; their twins need nothing."""
    from sparrow import native

    return native.has_compiler()


# mark -> is it there, and the reason of the skip
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "needs_bubblewrap": (bubblewrap_works, "bubblewrap does not work here"),
    "needs_chromium": (lambda: bool(find_chromium()), "Chromium is not installed"),
    "needs_compiler": (may_compile, "no g++ here, or a processor without AVX2"),
    "needs_hub": (
        may_open_a_hub,
        "a hub needs Linux, root, and npm install --global configurable-http-proxy@5.1",
    ),
    "needs_mount": (may_mount, "only root mounts a small disk to fill"),
    "needs_node": (lambda: bool(shutil.which("node")), "Node is not installed"),
    "needs_postgresql": (
        lambda: bool(postgresql.programs()),
        "PostgreSQL is not installed",
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that `.ci/run` uses."""
    parser.addoption(
        "--require-everything",
        action="store_true",
        help="fail, not skip, where something that a test needs is missing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks; share the cores, before torch is imported."""
    for name, (_is_there, reason) in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: skipped where {reason}")
    is_parallel = hasattr(config, "workerinput") or config.getoption("numprocesses", 0)
    os.environ["OMP_NUM_THREADS"] = "1" if is_parallel else "2"


def missing(config: pytest.Config, reason: str) -> None:
    """Skip with a word, or fail where everything was promised."""
    if config.getoption("--require-everything"):
        pytest.fail(f"{reason}, but --require-everything was given", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look at the marks before any fixture is made."""
    for name, (is_there, reason) in NEEDS.items():
        if item.get_closest_marker(name) and not is_there():
            missing(item.config, reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Cut the network for a test and all its fixtures, unless it is marked."""
    if item.get_closest_marker("network"):
        return (yield)
    with network_guard.guarded() as tried:
        item.stash[TRIED] = tried
        return (yield)


TRIED = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """A blocked request fails its test even where the code swallowed the error."""
    yield
    if tried := request.node.stash.get(TRIED, []):
        pytest.fail(f"this test tried to reach {', '.join(tried)}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures wider than a test do not touch the person's own work either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARROW_HOME", str(tmp_path_factory.mktemp("sparrow-home")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        for name in FOREIGN_TO_TESTS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def own_folders(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No test reads or writes the person's own work, or leaves any for the next.

    Only what was compiled is shared: it is named by all that it was made from.
    """
    monkeypatch.setenv("SPARROW_HOME", str(tmp_path / "sparrow-home"))
    own_cache = tmp_path_factory.mktemp("sparrow-cache")
    COMPILED.mkdir(parents=True, exist_ok=True)
    (own_cache / COMPILED.name).symlink_to(COMPILED)
    has_weights = "smollm2" in request.fixturenames
    monkeypatch.setenv("SPARROW_CACHE", str(REAL_CACHE if has_weights else own_cache))
    language.use("en")  # a command that ran before may have spoken another


@pytest.fixture(scope="session")
def smollm2(pytestconfig: pytest.Config) -> Path:
    """The folder of the real weights, if they were fetched on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARROW_CACHE", str(REAL_CACHE))
        if not assets.is_whole("smollm2"):
            missing(pytestconfig, "run once: sparrow assets get smollm2")
    return REAL_CACHE / "smollm2"


@pytest.fixture(scope="module")
def chromium(pytestconfig: pytest.Config) -> Iterator[Any]:
    """One headless browser for a module's tests; no other host has an address in it.

    Not for the session: playwright keeps an event loop in this thread, in which other
    modules' `asyncio.run` would fail.
    """
    from playwright.sync_api import sync_playwright

    if (program := find_chromium()) is None:
        missing(pytestconfig, NEEDS["needs_chromium"][1])
    arguments = [
        "--no-sandbox",  # as root, in a container
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A fresh page; what it asks other hosts for fails, and is kept in `foreign`."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    fresh = context.new_page()
    fresh.foreign = []

    def note(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme.startswith(("http", "ws")) and not network_guard.is_here(
            address.hostname
        ):
            fresh.foreign.append(request.url)

    context.on("request", note)
    yield fresh
    context.close()
