"""`workshop board`: the same as the page, for a terminal."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom import option

if TYPE_CHECKING:
    from workshop.board.view import View

__all__ = ["board"]


class NoBoardError(SparrowError):
    """A board that nobody has told anything yet, or a lab that it does not have."""


@click.command()
@click.argument("lab", required=False)
@option.settings
@click.option("--json", "as_json", is_flag=True, help="Print it for other programs.")
def board(lab: str | None, path: Path, as_json: bool) -> None:
    """Print who has passed what in LAB (the newest), and who may need help."""
    from workshop.board import view
    from workshop.board.events import Known
    from workshop.board.store import Store
    from workshop.classroom import rules
    from workshop.classroom.people import People

    people, known = People(rules.find(path)), Known()
    if not people.place.board.exists():
        raise NoBoardError(
            _(
                "Nobody has told the board anything yet: is on = true in the table "
                "[board] of {file}, and has the hub been started since?",
                file=path,
            )
        )
    store = Store(people.place.board)
    work = store.work()
    lab = lab or view.newest_lab(work, known)
    if lab not in known.minutes:
        raise NoBoardError(
            _(
                "The board has no lab {lab}: choose from {labs}.",
                lab=lab,
                labs=", ".join(known.minutes),
            )
        )
    about = (people.listed(), store.people(), work, store.causes())
    seen = view.look(lab, *about, known, time.time())
    if as_json:
        click.echo(json.dumps(_as_data(seen), indent=1, ensure_ascii=False))
    else:
        _print(seen)


def _as_data(seen: "View") -> dict[str, object]:
    """The grid as exercise -> state, and who may need help."""
    return {
        "lab": seen.lab,
        "enrolled": seen.enrolled,
        "learners": {
            row.person.account: {
                exercise: cell.state
                for exercise, cell in zip(seen.exercises, row.cells, strict=True)
            }
            for row in seen.rows
        },
        "stuck": [
            {
                "account": each.person.account,
                "exercise": each.exercise,
                "minutes": each.minutes,
                "planned_minutes": each.planned,
                "tries": each.tries,
                "cause": each.cause,
            }
            for each in seen.stuck
        ],
    }


def _print(seen: "View") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(
        _(
            "{lab}: {n} of {all} learners show their progress.",
            lab=seen.lab,
            n=len(seen.rows),
            all=seen.enrolled,
        )
    )
    grid = Table(_("Learner"), *seen.exercises, box=None)
    signs = {"passed": "✓", "paused": "…", "none": ""}
    for row in seen.rows:
        cells = [signs.get(each.state, f"{each.minutes}′") for each in row.cells]
        grid.add_row(Text(row.person.name), *cells)
    counts = [str(seen.count(place, "passed")) for place in range(len(seen.exercises))]
    grid.add_row(_("Passed"), *counts, style="dim")
    console.print(grid)
    if not seen.stuck:
        return
    table = Table(
        _("May need help"), _("Exercise"), _("Minutes"), _("Likeliest cause"), box=None
    )
    for each in seen.stuck:
        minutes = f"{each.minutes} / {each.planned}"
        table.add_row(Text(each.person.name), each.exercise, minutes, Text(each.cause))
    console.print(table)
