"""One command sets up and opens the workshop; what is missing is one sentence."""

import ast
import io
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from workshop.start import command, failures, install, jupyter
from workshop.start.environment import Environment
from workshop.start.failures import StartError, StartUsageError
from workshop.start.pip import Narrator, Pip
from workshop.start.progress import Stage, clock

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "tools" / "start.py"
ALL = ["labs", "serve", "instructor", "dev"]


@pytest.fixture
def environment(tmp_path):
    """A project in a folder with spaces, whose .venv borrows this Python."""
    root = tmp_path / "my work"
    for name in ("pyproject.toml", "constraints.txt", "tools/workshop/jupyter"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, root / name)
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    return Environment(root)


@pytest.fixture
def made(environment, monkeypatch):
    """Installing does nothing but note what pip was asked for."""
    asked = []
    monkeypatch.setattr(
        Pip, "install", lambda self, *arguments, **_how: asked.append(arguments)
    )
    monkeypatch.setattr(Pip, "would_find", lambda self, requirement: True)
    monkeypatch.setattr(install, "has_nvidia", lambda: False)
    monkeypatch.setattr(install, "prove", lambda environment: "PyTorch")
    return asked


def run_start(*arguments, **changes):
    """tools/start.py, without any package."""
    return subprocess.run(
        [sys.executable, "-S", str(START), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **changes},
        check=False,
    )


# --- before anything is installed


def test_it_needs_nothing_but_the_standard_library():
    done = run_start("--help")
    assert done.returncode == 0
    assert "--no-browser" in done.stdout


def test_an_old_python_is_told_which_one_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3.11 or newer.*Python 3\.9"):
        runpy.run_path(str(START))


def test_an_old_python_can_read_the_file_that_refuses_it():
    ast.parse(START.read_text("utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (["--extras", "labs,magic"], {}, 'no extras named "magic"; choose from: labs'),
        (["--check"], {"TORCH": "gpu"}, "TORCH is gpu; it can be auto, cpu, cuda."),
        (["--port", "80"], {}, "A port is a number from 1024 to 65535, not 80."),
        (["--fast"], {}, "unrecognized arguments: --fast"),
    ],
)
def test_what_does_not_exist_is_refused_with_status_2(arguments, changes, said):
    done = run_start(*arguments, **changes)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_every_sentence_can_be_translated():
    done = run_start("--check", TORCH="gpu", SPARROW_LANGUAGE="pseudo")
    assert done.stderr.startswith("⟦TORCH is gpu")


def test_ctrl_c_says_that_it_goes_on_later(monkeypatch, capsys):
    def interrupted(options, environment):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert command.main(["--check"], ROOT) == 1
    assert "run the same command again" in capsys.readouterr().err


def test_too_little_space_is_said_before_anything_is_written(environment, monkeypatch):
    usage = SimpleNamespace(free=2 * install.GIB)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(StartError, match="has 2.0 GiB free and 3.0 GiB are needed"):
        install.install(environment, ["labs"], "cpu")
    with pytest.raises(StartError, match="10.0 GiB are needed"):
        install.install(environment, ["labs"], "cuda")


def test_debians_missing_package_is_named(environment, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"apt install python3\.\d+-venv"):
        install.install(environment, ["labs"], "cpu")


def test_an_environment_that_cannot_be_made_gives_the_reason(environment):
    shutil.rmtree(environment.folder)
    environment.folder.write_text("a file in the way")
    with pytest.raises(StartError, match=r"\.venv could not be made \(.*\): mend"):
        install.make_folder(environment, afresh=False)


# --- installing


def test_a_finished_installation_needs_nothing_more(environment, made):
    assert not environment.is_ready(["labs"], "auto")
    install.install(environment, ["labs"], "auto")
    assert environment.is_ready(["labs"], "auto")
    pip, torch, project = made
    assert pip[0].startswith("pip==")
    assert torch[0] == f"torch=={environment.pins()['torch']}+cpu"
    assert f"{environment.root}[labs]" in project
    assert str(environment.root / "constraints.txt") in project


def test_extras_are_added_and_never_taken_away(environment, made):
    install.install(environment, ["dev", "serve"], "auto")
    install.install(environment, ["labs"], "auto")
    assert made[-1][1] == f"{environment.root}[dev,labs,serve]"
    assert environment.is_ready(["serve"], "auto")


def test_an_interrupted_installation_goes_on(environment, made, monkeypatch):
    def interrupted(environment):
        raise KeyboardInterrupt

    install.install(environment, ["labs"], "auto")  # from earlier, and whole
    with monkeypatch.context() as patch:
        patch.setattr(install, "prove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            install.install(environment, ["labs", "dev"], "auto")
    assert environment.stamp() is None
    assert not environment.is_ready(["labs"], "auto")
    install.install(environment, ["labs"], "auto")
    assert environment.is_ready(["labs"], "auto")


def test_a_pip_that_cannot_be_updated_is_used_as_it_is(environment, made, monkeypatch):
    def only_the_rest(self, *arguments, doing, stage):
        if doing == "pip":
            raise StartError("no pip")

    monkeypatch.setattr(Pip, "install", only_the_rest)
    install.install(environment, ["labs"], "auto")
    assert environment.is_ready(["labs"], "auto")


def change_constraints(environment):
    path = environment.root / "constraints.txt"
    path.write_text(path.read_text().replace("click==", "click==9"))


def change_shared_data(environment):
    (environment.root / "tools/workshop/jupyter/overrides.json").write_text("{}")


def change_dependencies(environment):
    path = environment.root / "pyproject.toml"
    path.write_text(path.read_text().replace('"torch>=2.6"', '"torch>=2.7"'))


def break_python(environment):
    environment.python.unlink()


def break_stamp(environment):
    environment.stamp_path.write_text("{")


def move(environment):
    stamp = json.loads(environment.stamp_path.read_text())
    environment.stamp_path.write_text(json.dumps({**stamp, "root": "/elsewhere"}))


@pytest.mark.parametrize(
    "change",
    [
        change_constraints,
        change_dependencies,
        change_shared_data,
        break_python,
        break_stamp,
        move,
    ],
)
def test_what_decides_the_environment_makes_it_stale(environment, made, change):
    install.install(environment, ["labs"], "auto")
    change(environment)
    assert not environment.is_ready(["labs"], "auto")


def test_what_does_not_decide_it_leaves_it_alone(environment, made):
    install.install(environment, ["labs"], "auto")
    with (environment.root / "pyproject.toml").open("a") as file:
        file.write("\n[tool.other]\nanswer = 42\n")
    with (environment.root / "constraints.txt").open("a") as file:
        file.write("# a remark\n")
    assert environment.is_ready(["labs"], "auto")
    assert environment.is_ready(["labs"], "cpu")
    assert not environment.is_ready(["labs"], "cuda")
    assert not environment.is_ready(ALL, "auto")


def test_a_project_that_was_moved_gets_a_fresh_environment(
    environment, made, monkeypatch
):
    install.install(environment, ["labs"], "auto")
    move(environment)
    seen = []
    monkeypatch.setattr(
        install, "make_folder", lambda environment, *, afresh: seen.append(afresh) or ""
    )
    install.install(environment, ["labs"], "auto")
    assert seen == [True]


@pytest.mark.parametrize(
    ("build", "platform", "is_found", "asked"),
    [
        ("cpu", "linux", True, ["+cpu"]),
        ("cpu", "linux", False, ["+cpu", "--extra-index-url", install.CPU_INDEX]),
        ("cpu", "darwin", False, [""]),
        ("cpu", "win32", False, [""]),
        ("cuda", "linux", True, [""]),
    ],
)
def test_torch_is_never_a_cuda_build_without_a_card(
    environment, monkeypatch, build, platform, is_found, asked
):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Pip, "would_find", lambda self, requirement: is_found)
    monkeypatch.setattr(Environment, "installed", lambda self, package: "")
    pip = Pip(environment.python, environment.root / "log")
    version = environment.pins()["torch"]
    chosen = install.choose_torch(pip, environment, build)
    assert chosen == [f"torch=={version}{asked[0]}", *asked[1:]]


def test_a_cpu_build_makes_way_for_the_one_for_a_card(environment, monkeypatch):
    removed = []
    monkeypatch.setattr(Pip, "uninstall", lambda self, package: removed.append(package))
    monkeypatch.setattr(Environment, "installed", lambda self, package: "2.13.0+cpu")
    pip = Pip(environment.python, environment.root / "log")
    install.choose_torch(pip, environment, "cuda")
    assert removed == ["torch"]


@pytest.mark.parametrize(
    ("script", "is_there"),
    [
        ("echo 'GPU 0: NVIDIA T4 (UUID: GPU-1)'", True),
        ("echo 'NVIDIA-SMI has failed'; exit 9", False),
        ("echo 'No devices were found'", False),
        (None, False),
    ],
)
def test_a_card_counts_when_its_driver_answers(tmp_path, monkeypatch, script, is_there):
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert install.has_nvidia() is is_there


def test_a_torch_that_does_not_start_is_said(environment, monkeypatch):
    monkeypatch.setattr(install, "PROVE", "raise OSError('libgomp is missing')")
    with pytest.raises(StartError, match="does not start .*libgomp is missing"):
        install.prove(environment)


# --- pip


@pytest.fixture
def pip(environment, monkeypatch):
    """The real pip, which looks for packages nowhere but where a test says."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return Pip(Path(sys.executable), environment.root / "start.log")


def test_no_network_is_one_sentence(pip, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens
    with (
        Stage(1, 1, "Installing", io.StringIO()) as stage,
        pytest.raises(StartError, match="network did not answer while installing the"),
    ):
        pip.install("sparrow-no-such-package", doing="the labs", stage=stage)
    assert "Connection refused" in pip.log.read_text()
    assert not pip.would_find("sparrow-no-such-package")


def test_a_package_that_pip_cannot_find_is_named(pip, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with (
        Stage(1, 1, "Installing", io.StringIO()) as stage,
        pytest.raises(StartError, match="pip finds no sparrow-no-such-package==1"),
    ):
        pip.install("sparrow-no-such-package==1", doing="the labs", stage=stage)


def test_a_disk_that_becomes_full_is_said():
    line = "ERROR: Could not install packages due to an OSError: [Errno 28] No space"
    assert "disk became full" in str(failures.explain([line], "PyTorch", "log"))


def test_any_other_failure_gives_pips_reason_and_where_to_read_on():
    lines = ["Collecting x", "ERROR: Package 'x' requires a different Python", "bye"]
    said = str(failures.explain(lines, "Sparrow", "start.log"))
    assert "(Package 'x' requires a different Python): read start.log" in said


def test_pips_lines_become_what_is_being_done():
    narrator = Narrator()
    heard = [
        narrator.hear(line)
        for line in (
            "Collecting torch==2.13.0",
            "  Downloading torch-2.13.0-cp311-none-any.whl.metadata (31 kB)",
            "Downloading torch-2.13.0-cp311-none-any.whl (191.2 MB)",
            "Progress 95600000 of 191200000",
            "WARNING: Retrying (Retry(total=4)) after connection broken",
            "Installing collected packages: mpmath, sympy, torch",
        )
    ]
    assert heard == [
        "looking for torch==2.13.0",
        "looking for torch==2.13.0",
        "downloading torch 2.13.0 (191.2 MB)",
        "downloading torch 2.13.0: 95 of 191 MB",
        "the network is slow; trying again",
        "unpacking 3 packages",
    ]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_stage_stays_on_one_line_in_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    with Stage(2, 5, "Installing PyTorch", terminal) as stage:
        stage.detail = "downloading " + "x" * 100
    *painted, last = terminal.getvalue().split("\n")
    assert last == ""
    assert len(painted) == 1
    assert all(len(each) <= 59 for each in painted[0].split("\r"))


def test_a_stage_that_fails_says_so(monkeypatch):
    stream = io.StringIO()

    def fails():
        with Stage(1, 2, "Updating pip", stream):
            raise StartError("no")

    with pytest.raises(StartError):
        fails()
    assert stream.getvalue().splitlines()[-1].strip() == "stopped after 0:00"
    assert clock(754) == "12:34"


# --- opening


def test_a_port_that_is_taken_is_passed_over():
    with socket.socket() as other:
        other.bind((jupyter.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        assert jupyter.free_port(taken) > taken


def test_when_no_port_is_free_another_can_be_chosen(monkeypatch):
    monkeypatch.setattr(jupyter, "TRIES", 1)
    with socket.socket() as other:
        other.bind((jupyter.HOST, 0))
        other.listen()
        with pytest.raises(StartError, match="all taken: choose another with --port"):
            jupyter.free_port(other.getsockname()[1])
    with pytest.raises(StartUsageError):
        jupyter.free_port(70_000)


def test_the_tour_opens_first_where_it_is_there(tmp_path):
    assert jupyter.first_page(tmp_path) == "/lab/tree/labs"
    (tmp_path / "labs/tour").mkdir(parents=True)
    (tmp_path / "labs/tour/tour.ipynb").touch()
    assert jupyter.first_page(tmp_path) == "/lab/tree/labs/tour/tour.ipynb"


def test_learners_see_labs_and_book_but_not_the_solutions(tmp_path):
    line = jupyter.command(Path(sys.executable), tmp_path, 8888, browser=True)
    [hidden] = [each for each in line if "hide_globs" in each]
    assert "'solutions'" in hidden
    assert "'labs'" not in hidden
    assert "'book'" not in hidden
    assert f"--FileContentsManager.preferred_dir={tmp_path / 'labs'}" in line
    assert not any("token" in each for each in line)  # everyone can see a command line


def test_a_server_that_stops_at_once_is_said(environment, monkeypatch, capfd):
    stub = [sys.executable, "-c", "raise SystemExit('no jupyter')"]
    monkeypatch.setattr(jupyter, "command", lambda *_where, **_how: stub)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(StartError, match="JupyterLab did not start"):
            jupyter.open_labs(environment.python, ROOT, 8888, browser=False)
    finally:
        signal.signal(signal.SIGTERM, before)


OPEN = """
import sys
from pathlib import Path
from workshop.start.jupyter import open_labs
sys.exit(open_labs(Path(sys.executable), Path(sys.argv[1]), 8888, browser=False))
"""


def test_jupyterlab_opens_serves_the_book_and_leaves_the_work_alone(tmp_path):
    work = tmp_path / "my work" / "labs" / "00" / "mine.ipynb"
    work.parent.mkdir(parents=True)
    work.write_text("{}")
    (tmp_path / "my work" / "nbgrader_config.py").touch()  # else nbgrader asks for it
    with subprocess.Popen(
        [sys.executable, "-c", OPEN, str(tmp_path / "my work")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        said = ""
        while "Stop with" not in said:
            line = server.stdout.readline()
            assert line, server.stderr.read()
            said += line
        address, token = re.search(r"(http://\S+?)/lab/\S+token=(\S+)", said).groups()
        listing = f"{address}/api/contents/labs/00?token={token}"
        with urllib.request.urlopen(listing, timeout=30) as answer:
            names = [each["name"] for each in json.load(answer)["content"]]
        book = status_and_text(f"{address}/book/")
        foreign = status_and_text(f"{address}/api/contents")
        server.send_signal(signal.SIGTERM)
        rest, trouble = server.communicate(timeout=30)
    assert names == ["mine.ipynb"]
    assert book[0] == 200 or "has not been built" in book[1]
    assert foreign[0] == 403
    assert "Stopped. What you saved is in" in rest
    assert [line for line in trouble.splitlines() if "stopping" not in line] == []
    assert server.returncode == 0
    assert work.read_text() == "{}"


def status_and_text(address):
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
