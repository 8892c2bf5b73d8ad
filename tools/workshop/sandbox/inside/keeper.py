"""Put one run into namespaces of its own, watch it, and end it when its time is up."""

import json
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from . import kernel, runner, seccomp

__all__ = ["keep"]

GIB, MIB = 1024**3, 1024**2
REPLY = 3  # the only descriptor beside 0, 1 and 2 that a submission inherits
GLANCE_MS = 20  # how often the memory is looked at


def keep(
    control: socket.socket,
    reply: int,
    limits: dict[str, Any],
    payload: bytes,
    bare: bool,
) -> None:
    """Run one job, and tell through `control` how it ended.

    Args:
        control: the grader's socket.
        reply: where the answers go. If the grader stops reading, the run ends.
        limits: the fields of `workshop.sandbox.limits.Limits`.
        payload: the job.
        bare: no namespaces, because an instructor runs their own notebook.
    """
    started = time.monotonic()
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    others = set(_processes(proc))
    base = _private_bytes(proc, str(os.getpid()) if bare else "self")
    if not bare:
        _separate(limits)
    child = os.fork()
    if child == 0:
        try:
            _confine(reply, limits, bare)
            runner.run(payload, REPLY)
        finally:
            os._exit(0)
    ended = _watch(child, reply, limits, started, (proc, others, base), bare)
    os.close(reply)
    control.sendall(json.dumps({"ended": ended}).encode() + b"\n")


def _separate(limits: dict[str, Any]) -> None:
    """New namespaces with a small private scratch folder and /dev/shm."""
    uid, gid = os.getuid(), os.getgid()
    kernel.set_dumpable(True)  # else our own uid_map is not ours to write
    kernel.unshare(
        kernel.NEW_USER | kernel.NEW_MOUNTS | kernel.NEW_PIDS | kernel.NEW_IPC
    )
    kernel.map_own_user(uid, gid)
    kernel.make_private()
    size = f"size={limits['file_mib']}m,nr_inodes=10000,mode=0700"
    kernel.mount("tmpfs", os.environ["TMPDIR"], size)
    kernel.mount("tmpfs", "/dev/shm", size)


def _confine(reply: int, limits: dict[str, Any], bare: bool) -> None:
    """In the new process: nothing inherited, nothing to gain, everything bounded."""
    os.setsid()  # a signal to its whole group must not reach us
    if not bare:
        kernel.unshare(kernel.NEW_MOUNTS)
        kernel.mount("proc", "/proc", extra=kernel.NO_EXEC)
        kernel.forbid_namespaces()
    null = os.open("/dev/null", os.O_RDWR)
    if reply != REPLY:
        os.dup2(reply, REPLY)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(REPLY + 1, 65536)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not bare:
        os.chdir(os.environ["TMPDIR"])
    _bound(limits, bare)
    if not bare:
        kernel.drop_all_rights()
        seccomp.refuse_needless_calls()


def _bound(limits: dict[str, Any], bare: bool) -> None:
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    memory = mapped + int(limits["memory_gib"] * GIB)
    cpu = int(limits["seconds"]) + 1
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: cpu * (1 if bare else limits["processes"]),
        resource.RLIMIT_FSIZE: limits["file_mib"] * MIB,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if not bare:  # it counts by user: here this user has no other processes
        bounds[resource.RLIMIT_NPROC] = limits["processes"]
    for which, bound in bounds.items():
        resource.setrlimit(which, (bound, bound))


def _watch(
    child: int,
    reply: int,
    limits: dict[str, Any],
    started: float,
    memory: tuple[int, set[str], int],
    bare: bool,
) -> str:
    """Wait for the end; `done`, `time`, `memory` or `stopped`."""
    proc, others, base = memory
    most = limits["memory_gib"] * GIB
    handle = os.pidfd_open(child)
    events = select.poll()
    events.register(handle, select.POLLIN)
    events.register(reply, 0)  # an error there: nobody reads any more
    ended = "done"
    while True:
        ready = [descriptor for descriptor, _event in events.poll(GLANCE_MS)]
        if handle in ready:
            break
        if reply in ready:
            ended = "stopped"
        elif time.monotonic() - started > limits["seconds"]:
            ended = "time"
        elif _used_bytes(proc, others, base, child if bare else 0) > most:
            ended = "memory"
        if ended != "done":
            break
    # In its own namespace the child is process 1: the kernel ends all others with it.
    os.kill(child, signal.SIGKILL)
    if bare:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return ended


def _used_bytes(proc: int, others: set[str], base: int, only: int) -> int:
    """What the run uses beyond the libraries that it shares with everyone."""
    if only:
        return max(0, _private_bytes(proc, str(only)) - base)
    mine = str(os.getpid())
    used = 0
    for each in _processes(proc):
        if each not in others and each != mine:
            used += max(0, _private_bytes(proc, each) - base)
    for folder in (os.environ["TMPDIR"], "/dev/shm"):
        found = os.statvfs(folder)
        used += (found.f_blocks - found.f_bfree) * found.f_frsize
    return used


def _processes(proc: int) -> list[str]:
    return [name for name in os.listdir(proc) if name.isdigit()]


def _private_bytes(proc: int, process: str) -> int:
    try:
        file = os.open(f"{process}/statm", os.O_RDONLY, dir_fd=proc)
    except OSError:
        return 0  # it has ended
    try:
        _size, resident, shared, *_rest = os.read(file, 200).split()
    except (OSError, ValueError):
        return 0
    finally:
        os.close(file)
    return (int(resident) - int(shared)) * resource.getpagesize()
