"""The few calls to the Linux kernel that Python has no function for."""

import ctypes
import os
from pathlib import Path

__all__ = [
    "NEW_IPC",
    "NEW_MOUNTS",
    "NEW_PIDS",
    "NEW_USER",
    "become_nobody",
    "drop_all_rights",
    "forbid_namespaces",
    "make_private",
    "map_own_user",
    "mount",
    "set_dumpable",
    "unshare",
]

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS = 0x20000, 0x8000000, 0x10000000, 0x20000000
NO_SUID, NO_DEVICES, NO_EXEC = 2, 4, 8
RECURSIVE, PRIVATE = 0x4000, 0x40000
SET_DUMPABLE, CAPBSET_DROP, NO_NEW_PRIVS, CAP_AMBIENT = 4, 24, 38, 47
CAPABILITY_VERSION_3 = 0x20080522
HIGHEST_CAPABILITY = 63
NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)


def _called(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(namespaces: int) -> None:
    """Leave these namespaces for new ones of our own."""
    _called(_libc.unshare(namespaces), "unshare")


def mount(kind: str, where: str, options: str = "", extra: int = 0) -> None:
    """Mount a file system of the kernel, such as tmpfs or proc."""
    flags = NO_SUID | NO_DEVICES | extra
    result = _libc.mount(
        kind.encode(),
        where.encode(),
        kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _called(result, where)


def make_private() -> None:
    """Let no mount from here on reach another namespace."""
    flags = ctypes.c_ulong(RECURSIVE | PRIVATE)
    _called(_libc.mount(None, b"/", None, flags, None), "/")


def map_own_user(uid: int, gid: int) -> None:
    """In a new user namespace, stay the same user: that is the only one there is."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def forbid_namespaces() -> None:
    """Nobody in this user namespace may make another one and be mighty in it."""
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def set_dumpable(allowed: bool) -> None:
    """May processes of the same user look into this one?"""
    _called(_libc.prctl(SET_DUMPABLE, int(allowed), 0, 0, 0), "dumpable")


def become_nobody() -> None:
    """Root turns into an ordinary user: the limit on processes does not bind root."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop_all_rights() -> None:
    """Give up every capability, for good: otherwise our own mounts can be undone."""
    for capability in range(HIGHEST_CAPABILITY + 1):
        # The kernel knows fewer than 64 and refuses the rest.
        _libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    clear_all = 4
    _called(_libc.prctl(CAP_AMBIENT, clear_all, 0, 0, 0), "ambient capabilities")
    _called(_libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    header = _Header(CAPABILITY_VERSION_3, 0)
    nothing = (_Sets * 2)()
    _called(_libc.capset(ctypes.byref(header), nothing), "capabilities")
