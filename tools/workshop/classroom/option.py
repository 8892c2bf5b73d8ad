"""The one option that every command about a class has."""

from pathlib import Path

import click

__all__ = ["settings"]

settings = click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    default=Path("workshop.toml"),
    help="The settings of the workshop (default: workshop.toml here).",
)
