"""Run `sparrow serve` as a person does, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

START_S = 90


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address that it prints, and the process, which ends with the block."""
    program = "from sparrow.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield from _watched(process)


def _watched(
    process: "subprocess.Popen[str]",
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    late = threading.Timer(START_S, process.kill)
    late.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        late.cancel()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line), line or "no address"
        yield line, process
    finally:
        late.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
