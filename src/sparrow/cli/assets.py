"""`sparrow assets`: fetch real weights, or see which are here."""

import json

import click
from rich.console import Console
from rich.table import Table

from sparrow import assets as store
from sparrow.language import _
from sparrow.viz.fetch import fetch

__all__ = ["assets"]


@click.group()
def assets() -> None:
    """Fetch real weights once; everything after that works without network."""


@assets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
def list_assets(as_json: bool) -> None:
    """Show which weights are on this machine."""
    rows = [
        {
            "name": name,
            "about": asset.about,
            "licence": asset.licence,
            "megabytes": round(asset.size_bytes / 1e6),
            "here": store.is_whole(name),
            "folder": str(store.folder_of(name)),
        }
        for name, asset in store.ASSETS.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(_("Name"), _("What"), _("Licence"), _("MB"), _("Here"))
    for row in rows:
        here = _("yes") if row["here"] else _("no")
        table.add_row(
            str(row["name"]),
            str(row["about"]),
            str(row["licence"]),
            str(row["megabytes"]),
            here,
        )
    Console().print(table)


@assets.command("get")
@click.argument("name")
def get_asset(name: str) -> None:
    """Fetch the weights called NAME, prove their hash, and keep them."""
    click.echo(fetch(name))
