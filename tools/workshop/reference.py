"""Write the pages of the book that say what the code says: commands, settings, figures.

They are made at each build and never committed, so they cannot grow old.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from workshop.classroom import settings
from workshop.classroom.tables import TABLES

__all__ = ["commands_page", "figures_page", "settings_page", "write"]

WIDTH = 78  # of a terminal, and of a line of help
RESULTS = Path("tests/bench/results")
COLUMNS = ("ours", "peer", "ratio", "ratio_low", "ratio_high", "pairs")
COMMANDS = """\
# Commands

What each command says of itself with `--help`. Data goes to the screen, progress and
complaints beside it; the exit status is 0 if all is well, 1 if something was found, and
2 if the command was not understood.
"""
SETTINGS = f"""\
# Settings of a workshop

One file, `{settings.FILE}`, holds all that a workshop needs to know. `workshop hub
--example` prints one with every setting and its default. Every line may be left out. A
setting that does not exist is refused, with the nearest one that does.
"""
FIGURES = """\
# Figures: what was measured, and beside what

`make bench` runs ours and the peer in turn, in one run, on one machine: try yours.
A ratio above 1 is better for us. Behind it stands the middle half of the ratios of all
pairs. Do not compare figures of different machines. On graphics cards: not measured.
"""


def write(folder: Path, root: Path) -> None:
    """Write all pages.

    Args:
        folder: where; it is made.
        root: the folder of the project.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "commands": commands_page(),
        "settings": settings_page(),
        "figures": figures_page(root / RESULTS),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, "utf-8")


def commands_page() -> str:
    """The help of every command of both programs."""
    from sparrow.cli import main as sparrow
    from workshop.cli import main as workshop

    parts = [COMMANDS]
    for name, program in (("sparrow", sparrow), ("workshop", workshop)):
        parts.append(f"## {name}\n")
        parts += list(_helps(name, program, None))
    return "\n".join(parts)


def _helps(
    name: str, command: click.Command, above: click.Context | None
) -> Iterator[str]:
    """A section for a command, then one for each command below it."""
    context = click.Context(command, info_name=name, parent=above, terminal_width=WIDTH)
    title = "" if above is None else f"### {context.command_path}\n\n"
    yield f"{title}```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from _helps(each, below, context)


def settings_page() -> str:
    """Every table of the settings, every key with its default."""
    parts = [SETTINGS]
    for name, kind in TABLES.items():
        parts += [f"## [{name}]\n", f"{kind.__doc__}\n"]
        parts.append("| setting | if left out | what it says |\n|---|---|---|")
        for each in fields(kind):
            default = (
                "" if each.default is None else f"`{settings.as_toml(each.default)}`"
            )
            parts.append(f"| `{each.name}` | {default} | {each.metadata['about']} |")
        parts.append("")
    head, *rest = settings.DEADLINES
    table, about = head.split("  # ")
    lines = "\n".join([table, *(line.removeprefix("# ") for line in rest)])
    parts += [f"## {table}\n", f"{about}\n", f"```toml\n{lines}\n```", ""]
    return "\n".join(parts)


def figures_page(results: Path) -> str:
    """Every comparison that `make bench` has kept."""
    parts = [FIGURES]
    for path in sorted(results.glob("*.json")):
        told = json.loads(path.read_text("utf-8"))
        parts += list(_figure(told))
    return "\n".join(parts)


def _figure(told: dict[str, Any]) -> Iterator[str]:
    """One comparison, with its variants and where it was measured."""
    unit, machine = told["unit"], told["machine"]
    yield f"## {told['name']}\n"
    yield f"Work: {told['what']}. Peer: {told['peer_name']}.\n"
    yield f"| | ours, {unit} | peer, {unit} | ratio | besides |\n|---|---|---|---|---|"
    yield _row("as above", told, told["notes"])
    for name, notes in told["notes"].items():
        if isinstance(notes, dict) and "ratio" in notes:
            yield _row(name, notes, notes)
    yield (
        f"\n{machine['processor']}, {machine['threads']} threads, "
        f"{machine['memory_gib']} GiB, {machine['device']}; PyTorch "
        f"{machine['torch']}, Python {machine['python']}; commit `{told['commit']}`, "
        f"{told['date']}; pairs: {told['pairs']}.\n"
    )


def _row(name: str, told: dict[str, Any], notes: dict[str, Any]) -> str:
    """One line of the table: rates, their ratio with its middle half, and notes."""
    rates = f"{_three(told['ours'])} | {_three(told['peer'])}"
    ratio = f"{told['ratio']:.2f} ({told['ratio_low']:.2f} to {told['ratio_high']:.2f})"
    besides = [
        f"{key}: {_told(value)}"
        for key, value in notes.items()
        if key not in COLUMNS and not isinstance(value, dict)
    ]
    words = "; ".join(besides).replace("_", " ")
    return f"| {name} | {rates} | {ratio} | {words} |"


def _told(value: Any) -> str:
    """A note as words: one value, or a list of them; a pair is an interval."""
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(each, float) for each in value):
            return f"{value[0]:+.3g} to {value[1]:+.3g}"
        return ", ".join(map(_told, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _three(value) if isinstance(value, float | int) else str(value)


def _three(value: float) -> str:
    """Three figures: more were not measured."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.3g}"
