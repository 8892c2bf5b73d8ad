"""`sparrow serve-bench`: let a simulated class ask a server, and measure its wait."""

import asyncio
import json
from pathlib import Path

import click

from sparrow.language import _

__all__ = ["serve_bench"]


@click.command()
@click.argument("address", default="http://127.0.0.1:8000")
@click.option("--learners", default=30, show_default=True)
@click.option(
    "--every-s",
    default=15.0,
    show_default=True,
    help="Mean time between two questions of one learner.",
)
@click.option("--duration-s", default=60.0, show_default=True)
@click.option("--max-tokens", default=128, show_default=True, help="Of one answer.")
@click.option("--temperature", default=0.6, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of times and questions.")
@click.option(
    "--json",
    "path",
    type=click.Path(path_type=Path),
    help="Write every answer's times to this file.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    help="Draw the queue into this SVG file.",
)
def serve_bench(
    address: str,
    path: Path | None,
    picture: Path | None,
    learners: int,
    every_s: float,
    duration_s: float,
    max_tokens: int,
    temperature: float,
    seed: int,
) -> None:
    """Ask the server at ADDRESS as a class would, each learner in their own time."""
    from rich.console import Console

    from sparrow.runtime import atomic_write
    from sparrow.serve import bench
    from sparrow.viz import load as pictures
    from sparrow.viz.style import show

    load = bench.Load(
        learners=learners,
        every_s=every_s,
        duration_s=duration_s,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
    )
    click.echo(
        _(
            "{n} learners ask {address} for {s:.0f} s …",
            n=learners,
            address=address,
            s=duration_s,
        ),
        err=True,
    )
    report = asyncio.run(bench.run(address.rstrip("/"), load))
    Console().print(pictures.load_table(report))
    problems = sorted({each.problem for each in report.answers if each.problem})
    for problem in problems[:3]:
        click.echo(problem, err=True)
    if path is not None:
        with atomic_write(path) as file:
            file.write(json.dumps(report.to_dict(), indent=1).encode())
    if picture is not None:
        with atomic_write(picture) as file:
            file.write(show(pictures.plot_load(report)).svg)
