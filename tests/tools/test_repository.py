"""What the repository says about itself in several places is everywhere the same."""

import json
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version

import sparrow
from tests import network_guard
from workshop import sizes
from workshop.cli import main

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINNED = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)
TRY_RULES = """
import os, socket, pytest

@pytest.mark.needs_bubblewrap
@pytest.mark.needs_chromium
@pytest.mark.needs_node
def test_marks(): pass

def test_weights(smollm2): pass

def test_network():
    socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_swallowed_network():
    try:
        socket.getaddrinfo("example.org", 80)
    except Exception:
        pass

def test_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_folders(tmp_path):
    assert os.environ["SPARROW_HOME"].startswith(str(tmp_path))
    assert os.environ["SPARROW_CACHE"].startswith(str(tmp_path.parent))
"""


def key(name: str) -> str:
    """A package's name, as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return {key(name): version for name, version in PINNED.findall(text)}


def direct() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    listed = [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]
    return [Requirement(each) for each in listed]


# --- one environment, written down three times


@pytest.mark.parametrize("needed", direct(), ids=lambda needed: needed.name)
def test_every_dependency_is_pinned_to_a_version_that_its_range_allows(needed):
    assert key(needed.name) in pins(), f"add {needed.name} to constraints.txt"
    assert needed.specifier.contains(pins()[key(needed.name)], prereleases=True)


def test_constraints_name_each_package_once_and_torch_without_its_build():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    lines = [each for each in text.splitlines() if each and not each.startswith("#")]
    assert all(PINNED.fullmatch(each) for each in lines)
    assert len(pins()) == len(lines)
    assert Version(pins()["torch"]).local is None


def test_conda_users_get_the_same_environment():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    python, pip, compiled, by_pip = wanted["dependencies"]
    assert python == f"python{PROJECT['requires-python']}"
    assert (pip, compiled) == ("pip", "pycosat")
    assert by_pip["pip"] == [
        "--constraint constraints.txt",
        f"--editable .[{','.join(PROJECT['optional-dependencies'])}]",
    ]


def test_make_test_installs_every_extra():
    extras = ",".join(PROJECT["optional-dependencies"])
    assert f"EXTRAS = {extras}\n" in (ROOT / "Makefile").read_text("utf-8")
    assert f"--extras {extras}\n" in (ROOT / ".ci/run").read_text("utf-8")


def test_the_python_that_start_asks_for_is_the_projects():
    start = (ROOT / "tools/start.py").read_text("utf-8")
    oldest = re.search(r"OLDEST = \((\d+), (\d+)\)", start).groups()
    assert PROJECT["requires-python"] == f">={'.'.join(oldest)}"


# --- papers


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == version == sparrow.__version__
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_licences_are_the_ones_that_are_named():
    assert PROJECT["license"] == "Apache-2.0 AND CC-BY-4.0"
    code = (ROOT / "LICENSE").read_text("utf-8")
    text = (ROOT / "LICENSE-text").read_text("utf-8")
    assert "Apache License\n" in code
    assert "END OF TERMS AND CONDITIONS" in code
    assert text.startswith("Attribution 4.0 International")
    assert all(f"Section {n} -- " in text for n in range(1, 9))


def test_no_file_speaks_of_the_machine_it_was_written_on():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    private = re.compile(rb"/work/(main|shared)|/home/\w+/|/root/|pypi\.org")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        assert not private.search(path.read_bytes()), name


def test_overrides_of_jupyterlab_ask_for_no_news():
    path = ROOT / "tools/workshop/jupyter/overrides.json"
    notices = json.loads(path.read_text())[
        "@jupyterlab/apputils-extension:notification"
    ]
    assert notices == {"fetchNews": "false", "checkForUpdates": False}


# --- commands


def test_every_command_can_be_listed():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in main.commands_at:
        assert f"  {name} " in result.output


def test_help_imports_nothing_slow():
    code = (
        "import sys\nfrom workshop.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "slow = {'torch', 'transformers', 'nbgrader', 'nbformat', 'matplotlib'}\n"
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_make_lists_its_targets():
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for target in ("start", "test", "bench", "book", "labs"):
        assert f"make {target} " in done.stdout


def test_the_gate_is_a_script_that_bash_can_read():
    gate = ROOT / ".ci/run"
    subprocess.run(["bash", "-n", gate], check=True)
    assert "--require-everything" in gate.read_text("utf-8")


def test_sizes_name_the_longest_and_refuse_what_is_too_long(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/short.py").write_text("def one():\n    return 1\n")
    (tmp_path / "src/long.py").write_text("def many():\n" + "    x = 1\n" * 100)
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    [module, _short] = sizes.modules()
    [function, _one] = sizes.functions()
    assert (module.name, module.lines) == ("src/long.py", 101)
    assert (function.name, function.lines) == ("src/long.py:many", 101)
    result = CliRunner().invoke(main, ["sizes"])
    assert result.exit_code == 1
    assert "src/long.py:many has 101 lines; at most 80 are allowed" in result.output


# --- the rules of the tests themselves


@pytest.mark.parametrize(
    ("options", "missing"), [([], "skipped"), (["--require-everything"], "failed")]
)
def test_tests_skip_with_a_word_or_fail(tmp_path, options, missing):
    (tmp_path / "test_rules.py").write_text(TRY_RULES)
    quiet = ["-q", "-rsf", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    place = ["-c", "/dev/null", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *quiet, *place, *options],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "SPARROW_CACHE": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 1
    assert "bubblewrap does not work here" in said
    assert "run once: sparrow assets get smollm2" in said
    assert "a test tried to reach 192.0.2.1; serve it from 127.0.0.1" in said
    assert "this test tried to reach example.org" in said
    ends = {
        "skipped": "1 failed, 3 passed, 2 skipped, 2 errors",
        "failed": "1 failed, 3 passed, 4 errors",
    }
    assert ends[missing] in said, said


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        (None, True),
        (b"localhost", True),
        ("192.168.1.1", False),
        ("example.org", False),
        ("2001:db8::1", False),
    ],
)
def test_only_this_machine_is_here(host, is_here):
    assert network_guard.is_here(host) is is_here


def test_the_guard_leaves_sockets_as_it_found_them():
    before = socket.socket.connect, socket.getaddrinfo
    with network_guard.guarded() as tried:
        with pytest.raises(network_guard.NetworkBlockedError):
            socket.getaddrinfo("example.org", 80)
        assert tried == ["example.org"]
    assert (socket.socket.connect, socket.getaddrinfo) == before
