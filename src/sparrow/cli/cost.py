"""The `sparrow cost` command: show the ledger, add to it, measure this machine."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from sparrow.language import _

__all__ = ["cost"]

FILE = click.option(
    "--ledger",
    "path",
    type=click.Path(path_type=Path),
    help="The ledger's file (default: ledger.json in your sparrow folder).",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@FILE
@AS_JSON
@click.pass_context
def cost(context: click.Context, path: Path | None, as_json: bool) -> None:
    """Show what you have spent: hours, energy, CO2 and money."""
    if context.invoked_subcommand is not None:
        return
    from sparrow.cost import ledger
    from sparrow.viz.tables import ledger_table

    mine = ledger.open_ledger(path)
    if as_json:
        click.echo(json.dumps(mine.to_dict(), indent=2, ensure_ascii=False))
    elif mine.entries:
        click.echo(str(ledger_table(mine)))
    else:
        where = path or ledger.default_path()
        click.echo(_("{path} holds no entries yet.", path=where), err=True)


@cost.command()
@click.argument("stage")
@click.option("--gpu-hours", type=float, default=0.0, help="Hours of one card.")
@click.option("--cpu-s", type=float, default=0.0, help="Seconds of one busy core.")
@click.option(
    "--power-w", type=float, required=True, help="Watts of that card or core."
)
@click.option("--pue", type=float, default=1.0, show_default=True)
@click.option(
    "--price-per-hour", type=float, default=0.0, help="Rent; 0 if you own it."
)
@click.option(
    "--tariff-per-kwh",
    type=float,
    required=True,
    envvar="SPARROW_TARIFF_PER_KWH",
    show_envvar=True,
    help="Price of a kWh.",
)
@click.option("--grid-g-per-kwh", type=float, required=True, help="Grams of CO2 a kWh.")
@click.option("--assumed", multiple=True, help="A value you did not look up, by name.")
@click.option(
    "--currency",
    default="USD",
    show_default=True,
    envvar="SPARROW_CURRENCY",
    show_envvar=True,
    help="Of a new ledger.",
)
@FILE
def add(stage: str, currency: str, path: Path | None, **values: object) -> None:
    """Add a stage; the same STAGE again replaces its entry."""
    from sparrow.cost import ledger

    entry = ledger.Entry(stage=stage, **values)  # type: ignore[arg-type]
    mine = ledger.open_ledger(path, currency=currency).add(entry)
    where = ledger.save(mine, path)
    click.echo(
        _("Wrote {n} entries to {path}.", n=len(mine.entries), path=where), err=True
    )


@cost.command()
@AS_JSON
def measure(as_json: bool) -> None:
    """Measure this machine: matrix products and memory, with intervals."""
    from sparrow.cost import measure as machine
    from sparrow.viz.words import number

    rates = {"flops_per_s": machine.matmul_rate(), "bytes_per_s": machine.copy_rate()}
    if as_json:
        click.echo(json.dumps({name: asdict(each) for name, each in rates.items()}))
        return
    billions = {
        name: {
            part: number(value / 1e9)
            for part, value in asdict(each).items()
            if part != "values"
        }
        for name, each in rates.items()
    }
    click.echo(
        _(
            "Matrix products: {median} GFLOP/s (95 % interval {low} to {high}).",
            **billions["flops_per_s"],
        )
    )
    click.echo(
        _(
            "Memory: {median} GB/s (95 % interval {low} to {high}).",
            **billions["bytes_per_s"],
        )
    )


@cost.command()
def published() -> None:
    """Recompute the published cost of DeepSeek-V3 and R1 from their parts."""
    from sparrow.cost.published import recompute
    from sparrow.viz.tables import figures_table

    click.echo(str(figures_table(recompute())))
