"""Tests speak to this machine only; a test that tries more fails, and says where to."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HERE_BY_NAME = {"", "localhost", socket.gethostname()}


class NetworkBlockedError(RuntimeError):
    """Not an OSError: code that forgives a missing network must not hide it."""


def is_here(host: object) -> bool:
    """Whether a host is this machine; None is any of its addresses."""
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name in HERE_BY_NAME:
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False  # a name: asking for its address is already a request
    return address.is_loopback or address.is_unspecified


@contextmanager
def guarded() -> Iterator[list[str]]:
    """Inside this block no socket reaches another machine; yields what was tried."""
    tried: list[str] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def watch(host: object) -> None:
        if not is_here(host):
            tried.append(str(host))
            raise NetworkBlockedError(
                f"a test tried to reach {host}; serve it from 127.0.0.1, or mark the "
                "test `network`"
            )

    def watch_socket(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            watch(address[0])

    def guarded_connect(self: socket.socket, address: Any) -> None:
        watch_socket(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        watch_socket(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        watch(host)
        return getaddrinfo(host, *args, **kwargs)

    with socket_functions(guarded_connect, guarded_connect_ex, guarded_getaddrinfo):
        yield tried


@contextmanager
def socket_functions(connect: Any, connect_ex: Any, getaddrinfo: Any) -> Iterator[None]:
    """Put these in place of the socket module's own, and back afterwards."""
    kind: Any = socket.socket
    before = kind.connect, kind.connect_ex, socket.getaddrinfo
    kind.connect, kind.connect_ex, socket.getaddrinfo = connect, connect_ex, getaddrinfo
    try:
        yield
    finally:
        kind.connect, kind.connect_ex, socket.getaddrinfo = before
