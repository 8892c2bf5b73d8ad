"""`workshop rehearse`: the evening before, with as many as will come."""

from pathlib import Path

import click

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom import option

__all__ = ["rehearse"]


@click.command()
@option.settings
@click.option(
    "--learners",
    type=click.IntRange(1, 500),
    default=30,
    show_default=True,
    help="How many learners are simulated.",
)
@click.option(
    "--lab",
    default="02_latent_attention",
    show_default=True,
    help="What they work on and hand in.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def rehearse(path: Path, learners: int, lab: str, as_json: bool) -> None:
    """Let a simulated class use this machine, and say how long everything takes.

    A hub of its own opens, with the limits of workshop.toml, another port and accounts
    for the time being. All learners log in at the same moment, run the light cells of
    a lab in real kernels, and hand in together. Then all of it is removed; your course
    and your learners are not touched.

    Ends with 0 if all went well, 1 if somebody met an error or anything was lost.
    """
    try:
        status = run(path, learners, lab, as_json)
    except SparrowError as error:
        click.echo(str(error), err=True)
        status = error.exit_status
    click.get_current_context().exit(status)


def run(path: Path, learners: int, lab: str, as_json: bool) -> int:
    """Rehearse and report.

    Raises:
        SparrowError: it cannot begin.
    """
    from rich.console import Console
    from rich.text import Text

    from workshop.classroom import settings
    from workshop.classroom.accounts import must_be_root
    from workshop.rehearsal import conduct, report, room

    classroom = settings.read(path)
    must_be_root(_("A rehearsal"))
    doing = {
        "log_in": _("Everybody logs in …"),
        "open": _("Everybody opens the notebook …"),
        "run": _("Everybody runs it …"),
        "hand_in": _("Everybody hands in …"),
    }

    def tell(step: str) -> None:
        click.echo(doing[step], err=True)

    click.echo(_("A room for {n} people is made …", n=learners), err=True)
    with room.opened(classroom, learners) as opened:
        result = conduct.conduct(opened, lab, tell)
    if as_json:
        click.echo(report.as_json(result))
    else:
        screen = Console()
        screen.print(report.table(result))
        for sentence in report.sentences(result):
            screen.print(Text(sentence))
    return 0 if result.went_well else 1
