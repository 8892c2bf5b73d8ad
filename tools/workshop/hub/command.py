"""`workshop hub`: open the room."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparrow.language import _
from workshop.classroom import option

if TYPE_CHECKING:
    from workshop.classroom.people import People

__all__ = ["end", "hub"]


@click.command()
@option.settings
@click.option("--example", is_flag=True, help="Print a workshop.toml, explained.")
@click.option(
    "--install",
    "do_install",
    is_flag=True,
    help="Build the shared environment and the course folder, or renew them.",
)
@click.option("--stop", "do_stop", is_flag=True, help="Stop the hub and all servers.")
def hub(path: Path, example: bool, do_install: bool, do_stop: bool) -> None:
    """Open a JupyterHub for the learners of workshop.toml, on this machine.

    Stopping it with Ctrl+C leaves people's servers at work: the next start finds them.
    """
    from workshop.classroom import settings
    from workshop.classroom.accounts import must_be_root
    from workshop.classroom.people import People

    if example:
        click.echo(settings.example(), nl=False)
        return
    people = People(settings.read(path))
    must_be_root(_("The hub"))
    if do_install:
        install(people)
    elif do_stop:
        stop(people)
    else:
        start(people, path)


def install(people: "People") -> None:
    """Build everything, and say what is next."""
    from workshop.hub import install as installation
    from workshop.hub import ready

    ready.must_not_run(people.place)

    def say(line: str) -> None:
        click.echo(line, err=True)

    installation.install_environment(people.place, say)
    passcode = installation.install_course(people)
    click.echo(_("The environment is in {path}.", path=people.place.environment))
    click.echo(_("The course is in {path}.", path=people.place.course))
    if passcode:
        click.echo(
            _(
                "The instructor logs in as {account} with the passcode {passcode}. "
                "Write it down: it is shown this once.",
                account=people.instructor,
                passcode=passcode,
            )
        )
    click.echo(_("Next: workshop roster import, then workshop hub."))


def start(people: "People", path: Path) -> None:
    """Check, say where the room is, and become JupyterHub."""
    from workshop.board.in_hub import PATH
    from workshop.classroom import tls
    from workshop.hub import limits, ready
    from workshop.hub.config import origin_a_person

    ready.check(people)
    place, classroom = people.place, people.place.classroom
    certificate = tls.ensure(place)
    click.echo(
        _(
            "{title}: {address}. Learners: {n}. Instructor: {account}.",
            title=classroom.course.title,
            address=tls.address(classroom),
            n=len(people.listed()),
            account=people.instructor,
        )
    )
    click.echo(_("Fingerprint: {print}", print=certificate.fingerprint))
    click.echo(_("Limits by {means}.", means=limits.choose().name), err=True)
    if not origin_a_person(classroom):
        click.echo(
            _(
                "All servers share one host name, so open nobody else's pages while "
                "you are logged in; the book says how to give each their own."
            ),
            err=True,
        )
    if classroom.board.on:
        click.echo(_("The board: {address}", address=tls.address(classroom) + PATH))
    click.echo(_("Stop with Ctrl+C."), err=True)
    sys.stdout.flush()
    program = str(place.python)
    os.environ["WORKSHOP_SETTINGS"] = str(path.absolute())
    os.chdir(place.state)
    os.execv(program, [program, "-I", "-m", ready.HUB])


def stop(people: "People") -> None:
    """End everything, and say so."""
    end(people)
    click.echo(_("The hub and all servers have stopped."))


def end(people: "People") -> None:
    """End the hub, then everybody's processes."""
    import psutil

    from workshop.hub import ready

    place = people.place
    for file, program in (("hub.pid", ready.HUB), ("proxy.pid", ready.PROXY)):
        if pid := ready.running(place, file, program):
            process = psutil.Process(pid)
            process.terminate()
            if psutil.wait_procs([process], timeout=20)[1]:
                process.kill()
    for account in people.accounts.ours():
        people.accounts.stop(account)
