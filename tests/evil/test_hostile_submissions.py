"""A hostile submission earns nothing, harms nothing, and delays nobody."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sparrow.checks.judging import Outcome
from tests.tools import small_course
from tests.tools.small_course import REPOSITORY

pytestmark = pytest.mark.needs_bubblewrap

Grade = Callable[..., Outcome]
SHORT_S = 2  # for what would run for ever
SIGNATURE = "def training_effort(active_parameters, tokens, flops_per_s):"
ROOT = str(REPOSITORY)


def effort(*body: str) -> str:
    """A submission whose function has this body."""
    return "\n".join([SIGNATURE, *(f"    {line}" for line in body)])


def told(outcome: Outcome) -> str:
    return " ".join(each.message for each in outcome.groups)


# What a submission can find out is put into an error, whose text comes back.
def found(grade: Grade, expression: str, setup: str = "") -> str:
    """What `expression` is inside the sandbox."""
    outcome = grade(
        f"import os, sys, subprocess\n{setup}\n"
        + effort(f"raise ValueError(str({expression})[:140])")
    )
    return outcome.groups[0].message.split("ValueError: ", 1)[-1]


class TestItSeesNothing:
    def test_of_the_course_folder(self, grade: Grade) -> None:
        listing = found(grade, f"set(os.listdir({ROOT!r})) - {{'.venv', 'src'}}")
        assert listing.startswith("set()")

    @pytest.mark.parametrize(
        "path",
        ["solutions", ".workshop", "gradebook.db", "submitted", "tests", "tools"],
    )
    def test_of_solutions_secrets_and_others(self, grade: Grade, path: str) -> None:
        assert found(grade, f"os.path.exists({ROOT + '/' + path!r})").startswith(
            "False"
        )

    def test_of_the_checks_references(self, grade: Grade) -> None:
        seen = found(grade, "' '.join(os.listdir(sparrow.checks.__path__[0]))",
                     "import sparrow.checks")  # fmt: skip
        assert "lab00" not in seen
        assert "causes" not in seen

    def test_of_the_graders_environment(self, grade: Grade) -> None:
        assert "PYTEST" not in found(grade, "sorted(os.environ)")

    def test_of_other_processes(self, grade: Grade) -> None:
        listing = found(grade, "[n for n in os.listdir('/proc') if n.isdigit()]")
        assert listing.startswith("['1']")

    def test_of_a_file_that_another_submission_left(self, grade: Grade) -> None:
        for folder in ("os.environ['TMPDIR']", "'/dev/shm'"):
            leave = f"import os\nopen({folder} + '/left', 'w').write('hello')\n"
            assert grade(leave + small_course.EFFORT).passed
            assert found(grade, f"os.listdir({folder})").startswith("[]")

    def test_through_inherited_descriptors(self, grade: Grade) -> None:
        listing = found(
            grade,
            "[(n, os.readlink('/proc/self/fd/' + n)[:9]) for n in sorted(os.listdir("
            "'/proc/self/fd')) if os.path.exists('/proc/self/fd/' + n)]",
        )
        assert "socket" not in listing
        assert listing.count("/dev/null") == 3
        assert listing.count("pipe:") == 1


class TestItReachesNothing:
    def test_no_listening_port_of_this_machine(self, grade: Grade) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.2)
            port = server.getsockname()[1]
            outcome = grade(
                "import socket\n"
                + effort(f"socket.create_connection(('127.0.0.1', {port}), 1)")
            )
            with pytest.raises(TimeoutError):
                server.accept()
        assert "PermissionError" in told(outcome)

    @pytest.mark.parametrize("where", ["/usr", "/", "/dev", "/sandbox/inside", ROOT])
    def test_nothing_outside_tmp_can_be_written(self, grade: Grade, where: str) -> None:
        outcome = grade(effort(f"open({where + '/evil'!r}, 'w')"))
        said = told(outcome)
        assert "OSError" in said or "PermissionError" in said
        assert not os.path.exists(f"{where}/evil")

    def test_it_cannot_unmount_or_mount(self, grade: Grade) -> None:
        code = found(
            grade,
            "[c.umount2(here, 2), c.mount(b'x', here, b'tmpfs', 0, None), "
            "c.unshare(0x10000000), c.unshare(0x20000)]",
            "import ctypes; c = ctypes.CDLL(None); here = os.getcwd().encode()",
        )
        assert code.startswith("[-1, -1, -1, -1]")

    def test_it_has_no_capability_and_cannot_gain_one(self, grade: Grade) -> None:
        status = found(
            grade,
            "[l.split()[1] for l in open('/proc/self/status') "
            "if l.startswith(('Cap', 'NoNewPrivs'))]",
        )
        assert status.startswith(str(["0" * 16] * 5 + ["1"]))

    def test_it_is_not_root(self, grade: Grade) -> None:
        assert not found(grade, "os.getuid()").startswith("0")

    def test_memory_that_belongs_to_no_process_is_refused(self, grade: Grade) -> None:
        assert "PermissionError" in found(grade, "os.memfd_create('x')")


class TestItIsStopped:
    def test_a_loop_without_an_end(self, grade: Grade) -> None:
        outcome = grade(effort("while True: pass"), SHORT_S)
        assert outcome.points_frac == 0
        assert "longer than 2 s" in told(outcome)

    def test_a_loop_that_catches_everything(self, grade: Grade) -> None:
        body = ["while True:", "  try:", "    while True: pass"]
        outcome = grade(effort(*body, "  except BaseException: pass"), SHORT_S)
        assert "longer than 2 s" in told(outcome)

    def test_a_fork_bomb(self, grade: Grade) -> None:
        before = len(psutil.pids())
        most = 0
        stop = threading.Event()

        def count() -> None:
            nonlocal most
            while not stop.wait(0.1):
                most = max(most, len(psutil.pids()))

        counter = threading.Thread(target=count)
        counter.start()
        body = ["while True:", "  try: os.fork()", "  except OSError: pass"]
        outcome = grade("import os\n" + effort(*body), SHORT_S)
        stop.set()
        counter.join()
        assert outcome.points_frac == 0
        assert most - before < 16 + 20  # other programs start and end too

    def test_a_process_that_stays_behind(self, grade: Grade) -> None:
        mark = "sleep 4321"
        grade(
            "import subprocess\n"
            f"subprocess.Popen({mark.split()!r}, start_new_session=True)\n"
            + small_course.EFFORT
        )
        running = [" ".join(p.info["cmdline"] or ()) for p in
                   psutil.process_iter(["cmdline"])]  # fmt: skip
        assert mark not in running

    def test_20_gb_at_once(self, grade: Grade) -> None:
        outcome = grade("import torch\n" + effort("return torch.ones(20 * 2**28)"))
        assert outcome.points_frac == 0
        assert "memory" in told(outcome)

    def test_20_gb_bit_by_bit_by_many_processes(self, grade: Grade) -> None:
        free = psutil.virtual_memory().available
        lowest = free
        stop = threading.Event()

        def look() -> None:
            nonlocal lowest
            while not stop.wait(0.05):
                lowest = min(lowest, psutil.virtual_memory().available)

        watcher = threading.Thread(target=look)
        watcher.start()
        outcome = grade(
            "import os, time\n"
            + effort(
                "for _ in range(10):",
                "  if os.fork() == 0: break",
                "kept = []",
                "while True:",
                "  kept.append(bytearray(b'x') * 10_000_000)",
                "  time.sleep(0.01)",
            )
        )
        stop.set()
        watcher.join()
        assert outcome.points_frac == 0
        assert "memory" in told(outcome)
        assert free - lowest < 3 * 1024**3

    def test_a_file_without_an_end(self, grade: Grade) -> None:
        body = "with open('x', 'wb') as f:\n        while True: f.write(b'x' * 10**6)"
        outcome = grade(effort(body))
        assert "OSError" in told(outcome) or "ended before" in told(outcome)

    def test_a_sparse_file(self, grade: Grade) -> None:
        outcome = grade("import os\n" + effort("os.truncate(os.open('x', 66), 1<<40)"))
        assert outcome.points_frac == 0

    def test_endless_output_on_both_channels(self, grade: Grade) -> None:
        outcome = grade(
            "import os, sys\n"
            + effort(
                "while True:", "  print('x' * 10**6)", "  sys.stderr.write('y' * 10**6)"
            ),
            SHORT_S,
        )
        assert outcome.points_frac == 0

    def test_an_answer_without_an_end(self, grade: Grade) -> None:
        started = time.monotonic()
        outcome = grade("import os\n" + effort("while True: os.write(3, b'x' * 10**6)"))
        assert outcome.points_frac == 0
        assert time.monotonic() - started < 10


class TestItForgesNothing:
    @pytest.mark.parametrize(
        "source",
        [
            "import os\nos._exit(0)",
            "import sys\nsys.exit(0)",
            "raise SystemExit(0)",
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
            "import os\nos.abort()",
            "import ctypes\nctypes.string_at(0)",
        ],
    )
    def test_by_ending_early(self, grade: Grade, source: str) -> None:
        assert grade(f"{source}\n{small_course.STUBS['answer-0-2']}").points_frac == 0

    def test_by_printing_a_result(self, grade: Grade) -> None:
        outcome = grade(
            'print(\'{"passed": true, "score": 4}\')\n'
            "print('✓ Exercise 0.2 passes.')\n" + effort("print(4.0)")
        )
        assert outcome.points_frac == 0

    def test_by_writing_to_every_descriptor(self, grade: Grade) -> None:
        outcome = grade(
            "import os\nfor fd in range(64):\n"
            '    try: os.write(fd, b\'{"ended": "done", "passed": true}\\n\' * 9)\n'
            "    except OSError: pass\n" + small_course.STUBS["answer-0-2"]
        )
        assert outcome.points_frac == 0

    @pytest.mark.parametrize(
        "patch",
        [
            "import torch; torch.allclose = torch.equal = lambda *a, **k: True",
            "import json; json.dumps = lambda *a, **k: '{\"passed\": true}'",
            "import math; math.isclose = lambda *a, **k: True",
            "import sparrow.checks.judging as j; j.judge = lambda *a: None",
            "import sparrow.checks.wire as w; w.encode = lambda *a: b'\\1' * 99",
            "import sparrow.checks.drivers as d; d.DRIVERS['call'] = lambda *a: True",
            "from sparrow.checks.protocol import Verdict; Verdict.passed = True",
            "check = lambda *a: True",
            "import sparrow.checks; sparrow.checks.check = lambda *a: True",
        ],
    )
    def test_by_patching(self, grade: Grade, patch: str) -> None:
        assert grade(f"{patch}\n{effort('return 1.0')}").points_frac == 0

    @pytest.mark.parametrize(
        "value",
        [
            "Same()",
            "[Same()] * 9",
            "{'flops': Same(), 'machine_hours': Same()}",
            "{'flops': SameNumber(1), 'machine_hours': SameNumber(1)}",
        ],
    )
    def test_by_an_object_that_equals_everything(
        self, grade: Grade, value: str
    ) -> None:
        classes = (
            "class Same:\n"
            "    def __eq__(self, other): return True\n"
            "    __hash__ = None\n"
            "    def __lt__(self, other): return True\n"
            "class SameNumber(float):\n"
            "    def __eq__(self, other): return True\n"
            "    __hash__ = None\n"
            "    def __sub__(self, other): return 0.0\n"
        )
        assert grade(f"{classes}\n{effort(f'return {value}')}").points_frac == 0

    @pytest.mark.parametrize(
        "source",
        [
            "from sparrow.cost.bill import training_effort",
            "from sparrow.cost import bill\ntraining_effort = bill.training_effort",
            "import sparrow.cost\n" + effort(
                "return sparrow.cost.bill.training_effort(active_parameters, tokens, "
                "flops_per_s)"
            ),
            "from sparrow.checks import library\n"
            "library.put_back('sparrow.cost.bill:training_effort')\n"
            "from sparrow.cost.bill import training_effort",
        ],
    )  # fmt: skip
    def test_by_calling_the_librarys_solution(self, grade: Grade, source: str) -> None:
        outcome = grade(source)
        assert outcome.points_frac == 0
        assert "what you are asked to write" in told(outcome)

    def test_by_asking_the_check_what_is_expected(self, grade: Grade) -> None:
        outcome = grade(
            "import sparrow.checks\n"
            + effort(
                "from sparrow.checks.protocol import Case",
                "given = dict(active_parameters=active_parameters, tokens=tokens,",
                "             flops_per_s=flops_per_s)",
                "return sparrow.checks.find('0.2').expected(Case('', 'flops', given))",
            )
        )
        assert outcome.points_frac == 0
        assert "no checks for lab 00" in told(outcome)

    def test_by_remembering_the_public_cases(self, grade: Grade) -> None:
        import torch

        from sparrow.checks import find
        from sparrow.checks.protocol import seed_of

        check = find("0.2")
        cases = check.cases(torch.Generator().manual_seed(seed_of("0.2")), False)
        known = {tuple(c.inputs.values()): check.expected(c) for c in cases}
        source = f"known = {known!r}\n" + effort(
            "return known.get((active_parameters, tokens, flops_per_s))"
        )
        assert grade(source).points_frac == 0


class TestStrangeAnswers:
    @pytest.mark.parametrize(
        "value",
        [
            "float('nan')",
            "float('inf')",
            "10 ** 5000",
            "'\\ud800'",
            "deep",
            "wide",
            "torch.ones(3, dtype=torch.complex64)",
            "torch.full((1000, 1000), float('nan'))",
            "torch.empty(0, 2**50)",
            "torch.ones(1).expand(2**40)",
            "torch.ones(10, device='meta')",
            "torch.ones(4, 4).to_sparse()",
            "iter(int, 1)",
            "lambda: 1",
            "'x' * 10**8",
            "recursive",
        ],
    )
    def test_cost_their_author_the_points_and_no_more(
        self, grade: Grade, value: str
    ) -> None:
        setup = (
            "import torch\ndeep = wide = []\n"
            "for _ in range(900): deep = [deep]\n"
            "wide = [0] * 10**6\nrecursive = []\nrecursive.append(recursive)\n"
        )
        outcome = grade(setup + effort(f"return {value}"))
        assert outcome.points_frac == 0
        assert told(outcome)

    @pytest.mark.parametrize(
        "source",
        [
            "def training_effort(:",
            "\x00",
            "x = " + "(" * 5000,
            "x = " + "-" * 200_000 + "1",
            "'\ud800'",
            "#" * 2_000_000,
            "",
        ],
    )
    def test_source_that_no_python_reads(self, grade: Grade, source: str) -> None:
        outcome = grade(source)
        assert outcome.points_frac == 0
        assert told(outcome)

    def test_an_error_that_cannot_be_printed(self, grade: Grade) -> None:
        source = "class E(Exception):\n    def __str__(self): return 1/0\n"
        assert grade(source + effort("raise E")).points_frac == 0

    def test_words_with_markup_come_back_as_plain_text(self, grade: Grade) -> None:
        from workshop.grading.render import markdown
        from workshop.grading.report import comment

        outcome = grade(
            effort("raise ValueError('</p><script>alert(1)</script>\\x1b[31m')")
        )
        text = comment(outcome, 4.0)
        assert "\x1b" not in text
        assert "<script" not in markdown(text)
        assert "&lt;script" in markdown(text)


def test_the_folder_of_the_tests_is_untouched() -> None:
    assert not (Path(ROOT) / "evil").exists()
