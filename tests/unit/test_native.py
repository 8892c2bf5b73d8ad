"""What is compiled once is kept, and a compiler that fails is as good as none."""

import ctypes
from pathlib import Path

import pytest

from sparrow import native
from sparrow.model import native as latent
from sparrow.quant import native as codes

ANSWER = 'extern "C" int answer() { return 42; }'


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small program, on a machine on which nothing was compiled yet."""
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cpp"
    folder.mkdir()
    (folder / "step.cpp").write_text(ANSWER, "utf-8")
    return folder


def made_in(sources: Path) -> list[Path]:
    return list((sources.parent / "cache").rglob("*.so"))


@pytest.mark.needs_compiler
def test_it_is_compiled_once_and_anew_where_the_source_changed(sources):
    first = native.library(sources)
    assert first is not None
    assert first.answer() == 42
    (kept,) = made_in(sources)
    before = kept.stat().st_mtime_ns
    assert native.library(sources) is not None
    assert kept.stat().st_mtime_ns == before
    (sources / "step.cpp").write_text(ANSWER.replace("42", "43"), "utf-8")
    second = native.library(sources)
    assert second is not None
    assert second.answer() == 43
    assert len(made_in(sources)) == 2


@pytest.mark.needs_compiler
@pytest.mark.parametrize("spoil", ["flag", "source", "folder"])
def test_a_compiler_that_fails_is_as_good_as_none(spoil, sources):
    flags = ["--no-such-flag"] if spoil == "flag" else []
    if spoil == "source":
        (sources / "step.cpp").write_text("nonsense", "utf-8")
    if spoil == "folder":
        (sources.parent / "cache").write_text("a file, and no folder", "utf-8")
    assert native.library(sources, *flags) is None
    assert made_in(sources) == []


def test_without_a_compiler_there_is_nothing_and_nothing_is_made(sources, monkeypatch):
    monkeypatch.setattr(native, "COMPILER", "no-such-compiler")
    assert native.library(sources) is None
    assert made_in(sources) == []


@pytest.mark.needs_compiler
def test_what_others_could_have_written_is_not_run(sources, monkeypatch):
    assert native.library(sources) is not None
    (made,) = made_in(sources)
    before = made.stat().st_mtime_ns
    monkeypatch.setattr(native.os, "getuid", lambda: made.stat().st_uid + 1)
    monkeypatch.setattr(native, "OWNERS", ())
    assert native.library(sources) is not None
    assert made.stat().st_mtime_ns != before


@pytest.mark.needs_compiler
def test_both_steps_of_the_library_compile_here():
    assert isinstance(latent.library(), ctypes.CDLL)
    assert isinstance(codes.library(), ctypes.CDLL)
