"""Refuse the system calls that no exercise needs and that the limits do not bind.

Memory behind `memfd_create` and System V segments belongs to no process, so the limit
on memory does not see it. The rest is depth: fewer doors to the kernel.
"""

import ctypes
import errno
import platform

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
}
MACHINES = {"x86_64": (0xC000003E, X86_64), "aarch64": (0xC00000B7, AARCH64)}

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, ANSWER = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
AT_NUMBER, AT_MACHINE = 0, 4
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
    to_refuse = len(numbers) + 2  # steps between here and the answers at the end
    steps = [
        _Step(LOAD, 0, 0, AT_MACHINE),
        _Step(JUMP_EQUAL, 0, to_refuse, machine),
        _Step(LOAD, 0, 0, AT_NUMBER),
        _Step(JUMP_AT_LEAST, to_refuse - 2, 0, X32),
    ]
    for position, number in enumerate(numbers):
        steps.append(_Step(JUMP_EQUAL, len(numbers) - position, 0, number))
    steps += [_Step(ANSWER, 0, 0, ALLOW), _Step(ANSWER, 0, 0, REFUSE)]
    array = (_Step * len(steps))(*steps)
    program = _Program(len(steps), array)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
