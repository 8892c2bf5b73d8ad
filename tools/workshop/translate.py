"""Collect every sentence that the code says, for translators: `workshop translate`.

The template holds no dates and no line numbers: it changes only when a sentence does.
"""

import importlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.runtime import atomic_write

__all__ = ["sentences", "template", "translate"]

ROOT = Path(__file__).parents[2]
FOLDERS = ("src/sparrow", "tools/workshop")
TEMPLATE = ROOT / "src/sparrow/locales/sparrow.pot"
IN_TEMPLATES = re.compile(r'\{\{\s*"([^"]+)"\s*\|\s*say\s*\}\}')
HEADER = (
    "# Every sentence that Sparrow says. Made by `workshop translate`; do not edit.\n"
    'msgid ""\n'
    'msgstr ""\n'
    '"MIME-Version: 1.0\\n"\n'
    '"Content-Type: text/plain; charset=utf-8\\n"\n'
    '"Content-Transfer-Encoding: 8bit\\n"\n\n'
)


class StaleError(SparrowError):
    """A template that lacks a sentence of the code, or has one too many."""


def sentences() -> dict[str, set[str]]:
    """Each sentence, with the files that say it."""
    found: dict[str, set[str]] = {}
    for said, file in (*_in_code(), *_in_pages(), *_in_labs()):
        found.setdefault(said, set()).add(file)
    return found


def _files(ending: str) -> list[Path]:
    return sorted(
        path for folder in FOLDERS for path in (ROOT / folder).rglob(f"*{ending}")
    )


def _in_code() -> Iterator[tuple[str, str]]:
    """What stands in `_("…")`."""
    from babel.messages.extract import extract

    for path in _files(".py"):
        with path.open("rb") as file:
            for _line, said, _comments, _context in extract(
                "python", file, {"_": None}
            ):
                yield str(said), path.relative_to(ROOT).as_posix()


def _in_pages() -> Iterator[tuple[str, str]]:
    """What the pages of feedback say."""
    for path in _files(".j2"):
        for said in IN_TEMPLATES.findall(path.read_text("utf-8")):
            yield said, path.relative_to(ROOT).as_posix()


def _in_labs() -> Iterator[tuple[str, str]]:
    """What each lab gives as data: title, question, and the groups of its checks."""
    listing = ROOT / "src/sparrow/lab/labs.json"
    for lab in json.loads(listing.read_text("utf-8")):
        for key in ("title", "question"):
            yield lab[key], listing.relative_to(ROOT).as_posix()
    for folder in sorted((ROOT / "src/sparrow/checks").glob("lab[0-9]*")):
        checks = importlib.import_module(f"sparrow.checks.{folder.stem}").CHECKS
        for check in checks.values():
            for group in check.groups:
                yield group, folder.relative_to(ROOT).as_posix()


def template() -> bytes:
    """The template's bytes."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import write_po

    catalogue = Catalog(charset="utf-8")
    for said, files in sentences().items():
        catalogue.add(said, locations=[(file, 1) for file in sorted(files)])
    written = io.BytesIO()
    write_po(
        written, catalogue, omit_header=True, sort_output=True, include_lineno=False
    )
    return HEADER.encode() + written.getvalue()


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if it is stale.")
def translate(check: bool) -> None:
    """Collect all sentences of the code into the template for translators."""
    made = template()
    name = TEMPLATE.relative_to(ROOT)
    is_fresh = TEMPLATE.is_file() and TEMPLATE.read_bytes() == made
    if check and not is_fresh:
        raise StaleError(_("{path} is stale; run: workshop translate", path=name))
    if not is_fresh:
        with atomic_write(TEMPLATE) as file:
            file.write(made)
        click.echo(name)
