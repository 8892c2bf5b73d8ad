"""Print the longest modules and functions, and refuse what no screen can show."""

import ast
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["Size", "functions", "modules", "sizes"]

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tools")
# The aim is 250 lines a module and 40 a function; beyond these two the build fails.
MODULE_LIMIT, FUNCTION_LIMIT = 400, 80


class TooLongError(SparrowError):
    """Something has grown beyond what a reader can hold."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many lines something has."""

    name: str
    lines: int


def _files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def modules() -> list[Size]:
    """Every module, the longest first."""
    found = [
        Size(name=str(path.relative_to(ROOT)), lines=len(path.read_text().splitlines()))
        for path in _files()
    ]
    return sorted(found, key=lambda size: -size.lines)


def functions() -> list[Size]:
    """Every function without its docstring, the longest first."""
    found = []
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                text = ast.get_docstring(node, clean=False)
                lines -= len(text.splitlines()) if text else 0
                name = f"{path.relative_to(ROOT)}:{node.name}"
                found.append(Size(name=name, lines=lines))
    return sorted(found, key=lambda size: -size.lines)


@click.command()
@click.option("--most", default=5, show_default=True, help="How many of each.")
def sizes(most: int) -> None:
    """Print the longest modules and functions."""
    table = Table(_("Longest"), _("Lines"), box=None)
    for size in (*modules()[:most], *functions()[:most]):
        table.add_row(size.name, str(size.lines))
    Console().print(table)
    for found, limit in (
        (modules()[0], MODULE_LIMIT),
        (functions()[0], FUNCTION_LIMIT),
    ):
        if found.lines > limit:
            raise TooLongError(
                _(
                    "{name} has {lines} lines; at most {limit} are allowed: split it.",
                    name=found.name,
                    lines=found.lines,
                    limit=limit,
                )
            )
