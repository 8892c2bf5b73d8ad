"""The doctor says what a machine has, what it lacks, and how to mend it."""

import json
import os
import socket
import stat
import sys
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from workshop.cli import main
from workshop.doctor import command, hardware, surroundings
from workshop.doctor.finding import Finding
from workshop.start import jupyter

GIB = 1024**3


def machine_with(monkeypatch, nvidia_smi, *, cuda=None, works=False, capability=(9, 0)):
    """A machine with this nvidia-smi and this build of PyTorch."""
    monkeypatch.setattr(hardware, "nvidia", lambda: nvidia_smi)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: works)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


def program(tmp_path, monkeypatch, name, script):
    """Only this program is on the PATH."""
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))


def test_this_machine_can_be_looked_at():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    found = {each["topic"]: each for each in json.loads(result.stdout)}
    assert set(found) == set(command.titles())
    assert found["python"]["level"] == "ok"
    assert found["pytorch"]["found"].startswith(torch.__version__.split("+")[0])
    is_ill = any(each["level"] == "error" for each in found.values())
    assert result.exit_code == int(is_ill)


def test_looking_makes_no_folder(tmp_path, monkeypatch):
    for name in ("SPARROW_CACHE", "SPARROW_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "new" / name))
    assert {each.level for each in surroundings.writing(tmp_path)} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_every_warning_and_error_has_a_fix_on_its_own_line(capsys):
    ill = Finding(topic="weights", level="warning", found="none [yet]", fix="fetch it")
    command.show([ill])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "!  Weights  none [yet]" in lines
    assert "→ fetch it" in lines
    assert "The labs run here. Warnings: 1." in lines


@pytest.mark.parametrize(
    ("levels", "said", "status"),
    [
        (["ok", "info"], "All is well.", 0),
        (["warning", "ok"], "The labs run here. Warnings: 1.", 0),
        (["warning", "error", "error"], "Errors: 2. Warnings: 1. Mend the errors", 1),
    ],
)
def test_only_an_error_ends_with_status_1(monkeypatch, levels, said, status):
    findings = [Finding(topic="disk", level=each, found="x") for each in levels]
    monkeypatch.setattr(command, "look", lambda root: findings)
    result = CliRunner().invoke(main, ["doctor"])
    assert said in result.output
    assert result.exit_code == status


def test_the_report_can_be_translated(monkeypatch, capsys):
    monkeypatch.setenv("SPARROW_LANGUAGE", "pseudo")
    monkeypatch.setattr(command, "look", lambda root: [hardware.python((3, 9, 2))])
    result = CliRunner().invoke(main, ["doctor"])
    assert "⟦Python⟧" in result.output
    assert "→ ⟦Install Python 3.11 or newer" in result.output


# --- hardware


@pytest.mark.parametrize(
    ("total", "level"), [(24, "ok"), (3.7, "ok"), (3, "warning"), (1.5, "error")]
)
def test_memory_is_measured_against_what_the_labs_are_made_for(
    monkeypatch, total, level
):
    state = SimpleNamespace(total=total * GIB, available=GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: state)
    finding = hardware.memory()
    assert finding.level == level
    assert bool(finding.fix) == (level != "ok")


@pytest.mark.parametrize(
    ("free", "level"), [(80, "ok"), (4.5, "warning"), (0.5, "error")]
)
def test_a_full_disk_is_found(monkeypatch, tmp_path, free, level):
    usage = SimpleNamespace(free=free * GIB)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    finding = hardware.disk(tmp_path)
    assert finding.level == level
    assert f"{free:g} GiB" in finding.found


def test_an_old_python_is_an_error():
    assert hardware.python((3, 10, 13)).level == "error"
    assert hardware.python((3, 13, 0)).level == "ok"


def test_a_torch_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    finding = hardware.pytorch()
    assert finding.level == "error"
    assert "make start" in finding.fix


def test_no_card_is_nothing_to_mend(monkeypatch):
    machine_with(monkeypatch, None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert hardware.card().level == "info"


def test_a_card_is_named_with_its_memory_driver_and_precision(tmp_path, monkeypatch):
    said = "NVIDIA A10G, 23028 MiB, 570.86.15\nNVIDIA A10G, 23028 MiB, 570.86.15"
    program(tmp_path, monkeypatch, "nvidia-smi", f"echo '{said}'")
    machine_with(monkeypatch, hardware.nvidia(), cuda="13.0", works=True)
    finding = hardware.card()
    assert finding.level == "ok"
    assert finding.found == "NVIDIA A10G, 23028 MiB, driver 570.86.15, bf16"


def test_an_old_card_computes_in_fp16(monkeypatch):
    card = ("Tesla T4", "15360 MiB", "535.1")
    machine_with(monkeypatch, card, cuda="12.8", works=True, capability=(7, 5))
    assert hardware.card().found.endswith("no bf16, so fp16")


@pytest.mark.parametrize(
    ("nvidia_smi", "cuda", "fix"),
    [
        (("T4", "15360 MiB", "535.1"), None, "TORCH=cuda make start"),
        (("T4", "15360 MiB", "535.1"), "13.0", "too old for PyTorch's CUDA 13.0"),
        ((), None, "Restart the machine"),
    ],
)
def test_a_card_that_cannot_be_used_is_a_warning(monkeypatch, nvidia_smi, cuda, fix):
    machine_with(monkeypatch, nvidia_smi, cuda=cuda)
    finding = hardware.card()
    assert finding.level == "warning"
    assert fix in finding.fix


def test_a_driver_that_does_not_answer_is_told_from_no_card(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "nvidia-smi", "echo failed; exit 9")
    assert hardware.nvidia() == ()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hardware.nvidia() is None


# --- surroundings


@pytest.mark.needs_bubblewrap
def test_a_sandbox_that_works_is_well():
    assert surroundings.sandbox().level == "ok"


def test_a_sandbox_that_the_kernel_refuses_says_what_to_allow(tmp_path, monkeypatch):
    refused = "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1"
    program(tmp_path, monkeypatch, "bwrap", refused)
    monkeypatch.setattr(sys, "platform", "linux")
    finding = surroundings.sandbox()
    assert finding.level == "warning"
    assert "Permission denied" in finding.found
    assert "Allow user namespaces" in finding.fix


def test_without_a_sandbox_only_grading_suffers(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert surroundings.sandbox().fix == "sudo apt install bubblewrap"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert surroundings.sandbox().level == "info"
    assert surroundings.browser().level == "info"


def test_without_a_proxy_only_a_hub_suffers(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = surroundings.proxy()
    assert (missing.level, missing.fix.split()[-1]) == (
        "info",
        "configurable-http-proxy@5.1",
    )
    program(tmp_path, monkeypatch, "configurable-http-proxy", "true")
    assert surroundings.proxy().level == "ok"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "runs on Linux" in surroundings.proxy().found


def test_a_port_that_is_taken_needs_nothing(monkeypatch):
    with socket.socket() as other:
        other.bind((jupyter.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        assert surroundings.port(taken).level == "info"
        monkeypatch.setattr(jupyter, "TRIES", 1)
        assert surroundings.port(taken).level == "error"


def test_weights_that_were_not_fetched_are_a_warning():
    finding = surroundings.weights("smollm2")
    assert finding.level == "warning"
    assert finding.fix == "sparrow assets get smollm2"


def test_damaged_weights_are_an_error(tmp_path):
    folder = surroundings.assets.folder_of("smollm2")
    folder.mkdir(parents=True)
    name = surroundings.assets.ASSETS["smollm2"].file_name
    (folder / name).write_bytes(b"GGUF, but not all of it")
    finding = surroundings.weights("smollm2")
    assert finding.level == "error"
    assert "damaged" in finding.found


def test_weights_that_are_whole_are_well(smollm2):
    assert surroundings.weights("smollm2").level == "ok"


def test_a_folder_that_cannot_be_written_names_its_setting(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path / "file"))
    labs, cache, home = surroundings.writing(tmp_path)
    assert (labs.level, cache.level, home.level) == ("ok", "error", "ok")
    assert "SPARROW_CACHE" in cache.fix


def test_a_python_below_a_private_folder_cannot_be_shared(tmp_path):
    prefix = tmp_path / "home" / "python"
    prefix.mkdir(parents=True)
    for folder in (prefix, *prefix.parents):
        if os.access(folder, os.W_OK) and folder.is_relative_to(tmp_path):
            folder.chmod(0o755)
    prefix.parent.chmod(0o700)
    finding = surroundings.shared(prefix)
    assert finding.level == "info"
    assert "cannot read" in finding.found


def test_a_python_that_all_can_read_can_be_shared(tmp_path, monkeypatch):
    open_to_all = SimpleNamespace(st_mode=stat.S_IFDIR | 0o755)
    monkeypatch.setattr("pathlib.Path.stat", lambda self: open_to_all)
    assert surroundings.shared(tmp_path).level == "ok"
