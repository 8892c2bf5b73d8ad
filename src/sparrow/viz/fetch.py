"""Show a download as it goes on: in a terminal, and in a notebook."""

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sparrow import assets

__all__ = ["fetch"]


def fetch(name: str) -> Path:
    """Fetch an asset with a progress bar, unless it is here already; its folder.

    Raises:
        AssetError: no network, or the file is not what it must be.
        StorageError: the cache folder cannot be written, or the disk is full.
    """
    if assets.is_whole(name):
        return assets.find(name)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=None)
        return assets.get(
            name, lambda done, total: bars.update(task, completed=done, total=total)
        )
