"""Refuse the system calls that no exercise needs and that the limits do not bind.

Memory behind `memfd_create`, System V segments and shared mappings without a file
belongs to no process, so the limit on memory does not see it. A run that chose its own
core could slow its neighbours. The rest is depth: fewer doors to the kernel.
"""

import ctypes
import errno
import platform
from collections.abc import Sequence

__all__ = ["refuse_needless_calls"]

# numbers by architecture: (audit number, {call: number})
SAME_EVERYWHERE = {
    "io_uring_setup": 425,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
X86_64 = {
    "shmget": 29,
    "socket": 41,
    "semget": 64,
    "msgget": 68,
    "ptrace": 101,
    "pivot_root": 155,
    "chroot": 161,
    "mount": 165,
    "umount2": 166,
    "mq_open": 240,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "unshare": 272,
    "perf_event_open": 298,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "memfd_create": 319,
    "bpf": 321,
    "userfaultfd": 323,
    "sched_setaffinity": 203,
}
AARCH64 = {
    "umount2": 39,
    "mount": 40,
    "pivot_root": 41,
    "chroot": 51,
    "unshare": 97,
    "ptrace": 117,
    "mq_open": 180,
    "msgget": 186,
    "semget": 190,
    "shmget": 194,
    "socket": 198,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "perf_event_open": 241,
    "setns": 268,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "memfd_create": 279,
    "bpf": 280,
    "userfaultfd": 282,
    "sched_setaffinity": 122,
}
MACHINES = {"x86_64": (0xC000003E, X86_64), "aarch64": (0xC00000B7, AARCH64)}
MAP = {"x86_64": 9, "aarch64": 222}  # mmap
SHARED_WITHOUT_FILE = 0x01 | 0x20

LOAD, AND, JUMP_EQUAL, JUMP_AT_LEAST, ANSWER = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
AT_NUMBER, AT_MACHINE, AT_FOURTH = 0, 4, 16 + 3 * 8  # both know little endian only
X32 = 0x40000000  # the same calls by other numbers
SET_SECCOMP, FILTER = 22, 2


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def refuse_needless_calls() -> None:
    """Let the kernel answer "not permitted" to them from now on, here and in children.

    Does nothing on processors whose numbers we do not know: the namespaces still hold.
    """
    if platform.machine() not in MACHINES:
        return
    machine, calls = MACHINES[platform.machine()]
    numbers = sorted({*calls.values(), *SAME_EVERYWHERE.values()})
    steps = _steps(machine, numbers, MAP[platform.machine()])
    array = (_Step * len(steps))(*steps)
    program = _Program(len(steps), array)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _steps(machine: int, numbers: Sequence[int], map_number: int) -> list[_Step]:
    """The filter. A jump says how many steps are left out after its own."""
    length = 4 + len(numbers) + 6
    allow, refuse = length - 2, length - 1
    steps: list[_Step] = []

    def add(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> None:
        after = len(steps) + 1
        skips = [to - after if to else 0 for to in (then, otherwise)]
        steps.append(_Step(code, *skips, value))

    add(LOAD, AT_MACHINE)
    add(JUMP_EQUAL, machine, otherwise=refuse)  # a program of 32 bits, say
    add(LOAD, AT_NUMBER)
    add(JUMP_AT_LEAST, X32, then=refuse)
    for number in numbers:
        add(JUMP_EQUAL, number, then=refuse)
    add(JUMP_EQUAL, map_number, otherwise=allow)
    add(LOAD, AT_FOURTH)
    add(AND, SHARED_WITHOUT_FILE)
    add(JUMP_EQUAL, SHARED_WITHOUT_FILE, then=refuse, otherwise=allow)
    add(ANSWER, ALLOW)
    add(ANSWER, REFUSE)
    return steps
