"""The sandbox answers every case, whatever happens inside, and says what it lacks."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sparrow import language
from sparrow.checks.judging import Answer
from sparrow.errors import ConfigError
from workshop.sandbox import Box, Job, Limits, bubblewrap
from workshop.sandbox.bubblewrap import SandboxError

QUICK = Limits(seconds=2, memory_gib=0.5)
sandboxed = pytest.mark.needs_bubblewrap


@pytest.fixture(scope="module")
def box():
    with Box() as warm:
        yield warm


@pytest.fixture(scope="module")
def bare():
    with Box(bare=True) as warm:
        yield warm


def job(*sources, inputs=({"x": 1},), **more):
    cells = [(f"cell-{at}", source) for at, source in enumerate(sources)]
    return Job(cells=cells, name="f", driver="call", inputs=list(inputs), **more)


@sandboxed
def test_each_input_has_its_answer(box):
    inputs = [{"x": 1}, {"x": 2}]
    reply = box.run(job("def f(x): return x + 1", inputs=inputs), QUICK)
    assert reply.answers == [Answer(2), Answer(3)]
    assert reply.ended == "done"


@sandboxed
def test_answers_before_the_time_was_up_are_kept(box):
    source = "def f(x):\n    while x == 2: pass\n    return x"
    limits = Limits(seconds=0.5)
    reply = box.run(job(source, inputs=[{"x": 1}, {"x": 2}, {"x": 3}]), limits)
    assert reply.answers[0] == Answer(1)
    assert "longer than 0.5 s" in reply.answers[1].failure
    assert "longer than 0.5 s" in reply.answers[2].failure


@sandboxed
@pytest.mark.parametrize("when_s", [0.0, 0.7])
def test_a_box_that_dies_on_its_way_costs_the_submission_nothing(when_s):
    with Box() as mortal:
        mortal.start()
        first = mortal._process
        killer = threading.Timer(when_s, first.kill)
        killer.start()
        if not when_s:
            killer.join()
        slow = "import time\ntime.sleep(1.5)\ndef f(x): return x + 1"
        reply = mortal.run(job(slow), Limits(seconds=20))
        killer.join()
        assert first.poll() == -signal.SIGKILL
        assert reply.answers == [Answer(2)]


@sandboxed
def test_cells_run_in_order_in_one_namespace(box):
    reply = box.run(job("y = 3", "def f(x): return x + y"), QUICK)
    assert reply.answers == [Answer(4)]


@sandboxed
def test_imports_of_other_cells_are_there(box):
    others = ["import math as m\nfrom no_such_module import z", "def broken(:", "!ls"]
    reply = box.run(job("def f(x): return m.pi", imports_from=others), QUICK)
    assert reply.answers[0].value == pytest.approx(3.14159, abs=1e-5)


@sandboxed
def test_lines_for_jupyter_alone_do_not_matter(box):
    source = "%matplotlib inline\n!ls\ndef f(x):\n    return x"
    assert box.run(job(source), QUICK).answers == [Answer(1)]


@sandboxed
def test_a_cell_that_calls_its_check_still_counts(box):
    source = "from sparrow.checks import check\ndef f(x): return x\ncheck('9.9', f)"
    assert box.run(job(source), QUICK).answers == [Answer(1)]


@sandboxed
def test_noise_on_both_channels_costs_nothing(box):
    source = "import sys\ndef f(x):\n    print(1); sys.stderr.write('!'); return x"
    assert box.run(job(source), QUICK).answers == [Answer(1)]


@sandboxed
def test_sentences_from_inside_are_translated(box):
    language.use(language.PSEUDO)
    try:
        reply = box.run(job("x = 1"), QUICK)
    finally:
        language.use("en")
    assert reply.answers[0].failure == "⟦The cell defines no f.⟧"


@sandboxed
def test_a_dead_sandbox_is_started_again(box):
    box.run(job("def f(x): return x"), QUICK)
    os.kill(box._process.pid, signal.SIGKILL)
    box._process.wait()
    assert box.run(job("def f(x): return x"), QUICK).answers == [Answer(1)]


@sandboxed
def test_nothing_survives_the_box():
    with Box() as own:
        own.start()
        process = own._process
    assert process.poll() is not None


@sandboxed
def test_a_fork_is_quick(box):
    task = job("def f(x): return x")
    box.run(task, QUICK)
    times = []
    for _trial in range(5):
        started = time.perf_counter()
        box.run(task, QUICK)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.3  # measured: 0.03 s; a start with PyTorch takes over 1 s


def test_without_a_sandbox_there_are_still_limits(bare):
    assert bare.run(job("def f(x): return x + 1"), QUICK).answers == [Answer(2)]
    reply = bare.run(job("def f(x):\n    while True: pass"), Limits(seconds=0.5))
    assert "longer than 0.5 s" in reply.answers[0].failure
    reply = bare.run(job("import torch\ndef f(x): return torch.ones(2**31)"), QUICK)
    assert "memory" in reply.answers[0].failure


def test_missing_bubblewrap_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="sudo apt install bubblewrap") as caught:
        Box().start()
    assert caught.value.exit_status == 1


def test_bubblewrap_that_cannot_work_says_why(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: str(fake))
    with pytest.raises(SandboxError, match="No permissions to create") as caught:
        Box().start()
    assert "not graded without it" in str(caught.value)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"minutes": 3}, "no limit minutes: choose from file_mib"),
        ({"seconds": 0}, "seconds must be a number above zero, got 0"),
        ({"seconds": "9"}, "seconds must be a number above zero, got 9"),
    ],
)
def test_strange_limits_are_refused(found, words):
    with pytest.raises(ConfigError, match=words):
        Limits.of(found)


def test_a_lab_without_limits_gets_ours():
    assert Limits.of(None) == Limits.of({}) == Limits()


def test_an_environment_inside_the_course_folder_shows_nothing_else(
    monkeypatch, tmp_path
):
    for name in ("bin", "lib", "solutions"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    words = " ".join(bubblewrap._python())
    assert f"{tmp_path}/lib" in words
    assert "solutions" not in words
    assert f" {tmp_path} " not in words


def test_what_runs_inside_imports_no_other_tool():
    code = "import sys, workshop.sandbox.inside.runner; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    ours = [name for name in ran.stdout.split() if name.startswith("workshop.")]
    assert ran.returncode == 0, ran.stderr
    allowed = ("workshop.sandbox",)
    assert all(name.startswith(allowed) for name in ours)
    assert not any("nbgrader" in name for name in ran.stdout.split())
