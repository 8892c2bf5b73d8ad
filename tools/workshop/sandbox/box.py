"""The grader's side of the sandbox: send a job, read answers that may be hostile."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from sparrow import language
from sparrow.checks import wire
from sparrow.checks.protocol import Plain
from sparrow.language import _
from workshop.sandbox.bubblewrap import SandboxError, command, start_code
from workshop.sandbox.limits import Limits
from workshop.sandbox.replies import Reply, read

__all__ = ["Box", "Job"]

START_S = 90.0  # importing PyTorch from a cold, slow disk
TRIES = 3  # of a job whose box dies
GRACE_S = 5.0  # for the namespaces, before we give the whole box up
HEADER = struct.Struct(">II")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run: cells, then one object from them on every input.

    Args:
        cells: name and source of each cell, in order.
        name: the function or the value that the cells define.
        driver: applies it, see `sparrow.checks.drivers`.
        inputs: one for each case.
        imports_from: code whose import statements are tried first.
        disable: `module:symbol` of the library that must raise.
        shared: what every case gets beside its inputs, sent once.
    """

    cells: list[tuple[str, str]]
    name: str
    driver: str
    inputs: list[dict[str, Plain]]
    imports_from: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    shared: dict[str, Plain] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The job as the sandbox reads it."""
        cells: list[Plain] = [{"name": n, "source": s} for n, s in self.cells]
        return wire.encode(
            {
                "cells": cells,
                "object": self.name,
                "driver": self.driver,
                "inputs": list(self.inputs),
                "imports_from": list(self.imports_from),
                "disable": list(self.disable),
                "shared": dict(self.shared),
                "language": language.current(),
            }
        )


class Box:
    """A warm sandbox, started at the first job and again whenever it breaks.

        with Box() as box:
            reply = box.run(job, Limits(seconds=5))

    Args:
        bare: no sandbox, only limits. For an instructor's own notebooks.
        core: the one core that all inside stays on, so that it cannot slow a box on
            another; None for all.
    """

    def __init__(self, *, bare: bool = False, core: int | None = None) -> None:
        self.bare, self.core = bare, core
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> "Box":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start now, so that the first job need not wait.

        Raises:
            SandboxError: bubblewrap is missing or cannot work here.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._control, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
        if self._line(START_S) != b"ready":
            reason = self._last_words()
            self.close()
            raise _cannot_work(reason)

    def _command(self, number: int) -> list[str]:
        if self.bare:
            code = start_code(Path(__file__).parent, number, "bare", self.core)
            return [sys.executable, *code]
        return command(number, self.core)

    def close(self) -> None:
        """End everything inside."""
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if process is not None:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def run(self, job: Job, limits: Limits) -> Reply:
        """Run a job; whatever happens inside, there is one answer for each input.

        A box that dies on its way, such as when the machine's memory is short, says
        nothing about the submission: the job runs again in a fresh one.

        Raises:
            SandboxError: the sandbox cannot work on this machine.
        """
        for left in reversed(range(TRIES)):
            self.start()
            try:
                reply = self._run_once(job, limits)
            except SandboxError:
                if not left:
                    raise
            else:
                if reply.ended != "broken":
                    break
        return reply

    def _run_once(self, job: Job, limits: Limits) -> Reply:
        reading = self._send(job.encode(), limits)
        try:
            data, ended = self._read(reading, limits)
        finally:
            os.close(reading)
        if ended != "late":
            told = self._how_it_ended()
            ended = ended or told
        if ended in ("late", "broken"):
            self.close()  # the next job gets a new one
            ended = "time" if ended == "late" else ended
        return read(data, ended, len(job.inputs), limits)

    def _send(self, payload: bytes, limits: Limits) -> int:
        """Send the job and the end of a fresh pipe; return our end."""
        assert self._control is not None
        reading, writing = os.pipe()
        settings = json.dumps(asdict(limits)).encode()
        header = HEADER.pack(len(settings), len(payload))
        try:
            socket.send_fds(self._control, [header], [writing])
            self._control.sendall(settings + payload)
        except OSError as error:
            os.close(reading)
            reason = self._last_words()
            self.close()
            raise _cannot_work(reason or str(error)) from error
        finally:
            os.close(writing)
        return reading

    def _read(self, reading: int, limits: Limits) -> tuple[bytes, str]:
        """All that comes out, up to the limits; and why we stopped reading."""
        deadline = time.monotonic() + limits.seconds + GRACE_S
        most = limits.output_kib * 1024
        data = bytearray()
        while True:
            left = deadline - time.monotonic()
            ready, _w, _x = select.select([reading], [], [], max(0.0, left))
            if not ready:
                return bytes(data), "late"
            piece = os.read(reading, 1024 * 1024)
            if not piece:
                return bytes(data), ""
            data += piece
            if len(data) > most:
                return bytes(data[:most]), "output"

    def _how_it_ended(self) -> str:
        """What the keeper says; it is ours, but the line may never come."""
        try:
            found: dict[str, Any] = json.loads(self._line(GRACE_S))
        except ValueError:
            return "broken"
        if found.get("ended") == "broken" and not self.bare:
            self.close()
            raise _cannot_work(str(found.get("error", "")))
        return str(found.get("ended"))

    def _line(self, seconds: float) -> bytes:
        """One line from inside, without its end; empty if it does not come."""
        assert self._control is not None
        self._control.settimeout(seconds)
        line = b""
        try:
            while not line.endswith(b"\n"):
                piece = self._control.recv(1)
                if not piece:
                    return b""
                line += piece
        except OSError:
            return b""
        finally:
            self._control.settimeout(None)
        return line.strip()

    def _last_words(self) -> str:
        """The last line that the sandbox wrote as it failed."""
        assert self._process is not None
        self._process.kill()
        _out, text = self._process.communicate()
        lines = text.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _cannot_work(reason: str) -> SandboxError:
    return SandboxError(
        _(
            "The sandbox cannot work on this machine ({reason}). Submissions are not "
            "graded without it: allow user namespaces for bubblewrap (on Ubuntu, "
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`).",
            reason=reason or _("it gave no reason"),
        )
    )
