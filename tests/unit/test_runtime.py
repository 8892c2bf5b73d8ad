"""The machine is described once, and files are whole or not there."""

import os
import subprocess
import sys

import pytest
import torch

from sparrow import runtime
from sparrow.errors import ConfigError, StorageError


def test_the_machine_describes_itself():
    machine = runtime.machine()
    assert machine.cores >= 1
    assert machine.memory_gib > 0.5
    assert machine.tier in ("cpu", "gpu")
    assert machine.torch == torch.__version__


def test_the_cpu_computes_in_float32():
    assert runtime.compute_dtype(torch.device("cpu")) == torch.float32


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("SPARROW_DEVICE", "tpu")
    with pytest.raises(ConfigError, match="SPARROW_DEVICE is tpu, but this machine"):
        runtime.device()


def test_a_chosen_device_is_used(monkeypatch):
    monkeypatch.setenv("SPARROW_DEVICE", "cpu")
    assert runtime.device() == torch.device("cpu")


def test_a_file_that_was_interrupted_is_not_there(tmp_path):
    def write() -> None:
        with runtime.atomic_write(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_survives_a_failed_write(tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def write() -> None:
        with runtime.atomic_write(tmp_path / "file") as file:
            file.write(b"new")
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="nothing was changed"):
        write()
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_written_file_can_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        with runtime.atomic_write(tmp_path / "file") as file:
            file.write(b"whole")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert len(list(tmp_path.iterdir())) == 1


def test_the_faster_matrix_library_still_computes_in_float32():
    """Whichever is chosen, the error against float64 is float32's."""
    setting = torch.backends.mkldnn.matmul
    before = setting.fp32_precision
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=draw) for _ in range(2))
    with runtime.fast_matmul() as library:
        product = a @ b
    assert library in ("mkl", "onednn")
    assert setting.fp32_precision == before
    # sums of 256 products near 1: float32 leaves 1e-5, bfloat16 would leave 1e-1
    assert (product.double() - a.double() @ b.double()).abs().max() < 1e-4


def test_mkl_can_be_asked_for_inside_a_block_that_uses_the_other():
    setting = torch.backends.mkldnn.matmul
    with runtime.fast_matmul("onednn"):
        outside = setting.fp32_precision
        with runtime.fast_matmul("mkl"):
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == outside == "bf16"


@pytest.mark.parametrize("chosen", [None, "7"])
def test_waiting_threads_sleep_soon_unless_somebody_chose_otherwise(chosen):
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    if chosen is not None:
        environment["GOMP_SPINCOUNT"] = chosen
    line = "import workshop.book_server, os; print(os.environ['GOMP_SPINCOUNT'])"
    told = subprocess.run(
        [sys.executable, "-c", line],  # what Jupyter's server loads
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == (chosen or "300")
