"""Ports inside the machine: free, hard to guess, and out of the kernel's own range."""

import json
import socket

from workshop.hub import ports


def lent_from() -> int:
    try:
        return int(ports.LENT.read_text("ascii").split()[0])
    except OSError:
        return 32_768


def test_no_outgoing_connection_can_take_a_chosen_port():
    chosen = {ports.choose() for _each in range(50)}
    assert len(chosen) > 40
    assert all(ports.LOWEST <= each < lent_from() for each in chosen)
    assert all(ports.is_free(each, "127.0.0.1") for each in chosen)


def test_a_port_on_which_somebody_listens_is_passed_over(monkeypatch, tmp_path):
    port, lent = ports.choose(), tmp_path / "range"
    lent.write_text(f"{port + 1} 60999\n")  # so it is the only one
    monkeypatch.setattr(ports, "LOWEST", port)
    monkeypatch.setattr(ports, "LENT", lent)
    assert ports.choose() == port
    with socket.create_server(("127.0.0.1", port)):
        assert ports.choose() != port
    assert ports.choose(frozenset([port])) != port


def test_a_machine_that_lends_all_ports_still_gives_one(monkeypatch, tmp_path):
    lent = tmp_path / "range"
    lent.write_text("1024 65535\n")
    monkeypatch.setattr(ports, "LENT", lent)
    assert ports.choose() >= 1024


def test_the_hub_keeps_its_ports_and_no_two_are_the_same(tmp_path):
    path = tmp_path / "ports.json"
    first = ports.keep(path)
    assert ports.keep(path) == first
    assert len(set(json.loads(path.read_text()).values())) == 3
    path.write_text("{")
    assert ports.keep(path) != first
