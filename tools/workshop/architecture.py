"""Draw the library's layers from the source itself, so that the picture stays true."""

import ast
import html
import textwrap
from pathlib import Path

import click

from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.runtime import atomic_write

__all__ = ["LAYERS", "PICTURE", "architecture", "draw", "ideas"]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sparrow"
PICTURE = ROOT / "book" / "developer" / "architecture.svg"

# From high to low: a part may import those below it, never one above or beside it.
LAYERS: list[tuple[str, ...]] = [
    ("cli", "lab"),
    ("checks",),
    ("viz",),
    ("rl", "serve", "distill", "talk"),
    ("evaluate",),
    ("train", "decode", "quant"),
    ("model",),
    ("data",),
    ("verify",),
    ("text", "cost", "assets", "checkpoints"),
    ("native", "large_pages"),
    ("config", "runtime"),
    ("errors", "language"),
]

WIDTH, MARGIN, GAP = 960, 16, 10
HEAD, LINE = 34, 15  # height of a box without its lines, and of one line
CHARACTER = 6.3  # mean width of a letter at 12 px, to wrap the lines
COLOURS = ("#e8f1f8", "#0b4f7d", "#1a1a1a")  # box, its edge and name, its idea


class StaleError(SparrowError):
    """The committed picture is not the one that the source gives."""


def ideas() -> dict[str, str]:
    """Each part of the library that exists, and the first thing it says of itself."""
    found = {}
    for path in sorted(SOURCE.iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if file.suffix != ".py" or (file.name.startswith("__") and path == file):
            continue
        if file.exists():
            text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
            found[path.stem] = " ".join(text.split("\n\n")[0].split())
    return found


def draw() -> str:
    """The picture, as SVG."""
    told = ideas()
    rows = [[name for name in layer if name in told] for layer in LAYERS]
    rows = [row for row in rows if row]
    boxes, top = [], MARGIN
    for row in rows:
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) // len(row)
        lines = [
            textwrap.wrap(told[name], int((width - 24) / CHARACTER)) for name in row
        ]
        tall = HEAD + LINE * max(len(each) for each in lines)
        for column, name in enumerate(row):
            left = MARGIN + column * (width + GAP)
            boxes.append(_box(name, lines[column], left, top, width, tall))
        top += tall + GAP
    height = top - GAP + MARGIN
    words = "; ".join(", ".join(row) for row in rows)
    label = html.escape(f"Layers of the library, from high to low: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{label}" font-family="system-ui, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
        + "\n".join(boxes)
        + "\n</svg>\n"
    )


def _box(
    name: str, lines: list[str], left: int, top: int, width: int, tall: int
) -> str:
    """One part: its name, and its idea."""
    fill, edge, ink = COLOURS
    text = "".join(
        f'<text x="{left + 12}" y="{top + 37 + LINE * number}" font-size="12" '
        f'fill="{ink}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{tall}" rx="6" '
        f'fill="{fill}" stroke="{edge}"/>'
        f'<text x="{left + 12}" y="{top + 20}" font-size="14" '
        f'font-weight="bold" fill="{edge}">{name}</text>{text}'
    )


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if it is stale.")
def architecture(check: bool) -> None:
    """Draw the library's layers into the book's developer part."""
    drawn = draw().encode()
    is_fresh = PICTURE.exists() and PICTURE.read_bytes() == drawn
    if check and not is_fresh:
        raise StaleError(
            _("{path} is stale; run: workshop architecture", path=PICTURE.name)
        )
    if not is_fresh:
        with atomic_write(PICTURE) as file:
            file.write(drawn)
    click.echo(PICTURE.relative_to(ROOT))
