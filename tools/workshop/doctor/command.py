"""`workshop doctor`: one calm page about this machine, with a way to mend each line."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from sparrow.language import _
from workshop.doctor.finding import Finding

__all__ = ["doctor", "look", "show"]

ROOT = Path(__file__).resolve().parents[3]
MARKS = {
    "ok": "[green]✓[/]",
    "info": "[dim]·[/]",
    "warning": "[yellow]![/]",
    "error": "[bold red]✗[/]",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
def doctor(as_json: bool) -> None:
    """Look at this machine, and say how to mend it."""
    findings = look(ROOT)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        show(findings)
    if any(each.level == "error" for each in findings):
        raise SystemExit(1)


def look(root: Path) -> list[Finding]:
    """Everything there is to know, in the order of the report."""
    from workshop.doctor import hardware, surroundings

    version = sys.version_info
    return [
        hardware.python((version.major, version.minor, version.micro)),
        hardware.memory(),
        hardware.disk(root),
        surroundings.clock(root),
        hardware.pytorch(),
        hardware.card(),
        surroundings.weights("smollm2"),
        *surroundings.writing(root),
        surroundings.port(),
        surroundings.sandbox(),
        surroundings.proxy(),
        surroundings.browser(),
        surroundings.shared(Path(sys.base_prefix)),
    ]


def titles() -> dict[str, str]:
    """Topic -> how it is called in the report."""
    return {
        "python": _("Python"),
        "memory": _("Memory"),
        "disk": _("Disk"),
        "clock": _("Clock"),
        "pytorch": _("PyTorch"),
        "card": _("Graphics card"),
        "weights": _("Weights"),
        "labs": _("Labs folder"),
        "cache": _("Cache folder"),
        "home": _("Own folder"),
        "port": _("Port"),
        "sandbox": _("Sandbox"),
        "proxy": _("Proxy"),
        "browser": _("Browser"),
        "shared": _("Shared use"),
    }


def show(findings: Sequence[Finding]) -> None:
    """Print a table: a mark, the topic, what was found, and below it what to do."""
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        lines = [escape(each.found)]
        if each.fix:
            lines.append(f"[cyan]→ {escape(each.fix)}[/]")
        table.add_row(MARKS[each.level], titles()[each.topic], "\n".join(lines))
    console = Console(highlight=False)
    console.print(Padding(table, (1, 2)))
    console.print(Padding(summary(findings), (0, 2, 1, 2)))


def summary(findings: Sequence[Finding]) -> str:
    """One sentence at the end."""
    count = Counter(each.level for each in findings)
    if count["error"]:
        return _(
            "Errors: {errors}. Warnings: {warnings}. Mend the errors first; the labs "
            "do not run with them.",
            errors=count["error"],
            warnings=count["warning"],
        )
    if count["warning"]:
        return _("The labs run here. Warnings: {warnings}.", warnings=count["warning"])
    return _("All is well.")
