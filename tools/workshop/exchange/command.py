"""`workshop submissions`: what was handed in, is it untouched, put it in its place."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom import option

if TYPE_CHECKING:
    from workshop.exchange.desk import Desk

__all__ = ["submissions"]


@click.group()
@option.settings
@click.pass_context
def submissions(context: click.Context, path: Path) -> None:
    """See what learners handed in, and put it where grading reads it."""
    context.obj = path


def _desk(path: Path) -> "Desk":
    from workshop.classroom import rules
    from workshop.exchange.desk import Desk
    from workshop.grading.course import Course

    classroom = rules.find(path)
    return Desk(Course.at(classroom.places.course), classroom)


def _say(error: SparrowError) -> None:
    click.echo(str(error), err=True)
    click.get_current_context().exit(error.exit_status)


@submissions.command("list")
@click.option("--learner", help="Only this account.")
@click.pass_obj
def list_(path: Path, learner: str | None) -> None:
    """Show every submission, oldest first; check that the record is whole."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    try:
        desk = _desk(path)
        found = desk.receipts(learner)
        jumps = [each for each in desk.record.lines() if each.clock_went_back_s]
    except SparrowError as error:
        return _say(error)
    zone = desk.classroom.course.time_zone
    names = (_("No."), zone, _("Learner"), _("Lab"), _("Late"), _("Hash"))
    table = Table(*names, box=None)
    for each in found:
        at = datetime.fromisoformat(each.at).astimezone(ZoneInfo(zone))
        time = at.strftime("%Y-%m-%d %H:%M")
        late = _how_long(each.late_s) if each.late_s else ""
        row = (str(each.number), time, each.learner, each.lab, late, each.hash[:8])
        table.add_row(*map(Text, row))
    Console().print(table)
    click.echo(_("The record is whole; submissions: {n}.", n=len(found)))
    for line in jumps:
        click.echo(
            _(
                "At No. {number} the clock stood {n} min before an earlier one: times "
                "from there on may be too early; the numbers keep the order.",
                number=line.number,
                n=-(-line.clock_went_back_s // 60),
            ),
            err=True,
        )


def _how_long(seconds: int) -> str:
    """As people say it: 35 min, 2 h 10 min, 3 d 4 h."""
    minutes = -(-seconds // 60)
    if minutes < 60:
        return _("{n} min", n=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _("{h} h {n} min", h=hours, n=minutes)
    days, hours = divmod(hours, 24)
    return _("{d} d {h} h", d=days, h=hours)


@submissions.command()
@click.argument("lab")
@click.pass_obj
def collect(path: Path, lab: str) -> None:
    """Put everybody's latest submission of LAB where `workshop grade` reads it."""
    from workshop.classroom import rules

    try:
        desk = _desk(path)
        found = desk.collect(lab)
        _give_to_owner(desk.course.root / "submitted")
        rules.keep(desk.classroom)  # a deadline may have moved since the hub started
    except SparrowError as error:
        return _say(error)
    click.echo(
        _("Collected submissions of {lab}: {n}.", n=len(found), lab=lab)
        + " "
        + _(
            "Next: workshop grade {lab} --course {folder}",
            lab=lab,
            folder=desk.course.root,
        )
    )


@submissions.command("release-feedback")
@click.argument("lab")
@click.option("--learner", default="*", help="Only this account.")
@click.pass_obj
def release_feedback(path: Path, lab: str, learner: str) -> None:
    """Let learners read what grading has written about LAB, each their own.

    `workshop grade LAB --feedback` writes the pages. What is written again later is
    not seen before it is released again.
    """
    from workshop.exchange.shelf import Shelf

    try:
        desk = _desk(path)
        shelf = Shelf(desk.course, desk.classroom)
        found = shelf.give(lab, learner)
        _give_to_owner(shelf.given_at)
    except SparrowError as error:
        return _say(error)
    click.echo(_("{n} learners can read about {lab} now.", n=len(found), lab=lab))


def _give_to_owner(place: Path) -> None:
    """What root has written belongs to whoever has the course."""
    if os.geteuid() == 0 and place.exists():
        owner = place.parent.stat()
        for each in (place, *place.rglob("*")):
            os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)
