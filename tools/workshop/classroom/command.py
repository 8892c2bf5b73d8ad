"""`workshop roster`: who takes part; every change counts at once in a running hub."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparrow.language import _
from workshop.classroom import option

if TYPE_CHECKING:
    from workshop.classroom.people import People

__all__ = ["roster"]


@click.group()
@option.settings
@click.pass_context
def roster(context: click.Context, path: Path) -> None:
    """Enrol learners: one account, one passcode and one card each."""
    context.obj = path


def _people(path: Path) -> "People":
    """The classroom's people, for root alone."""
    from workshop.classroom import settings
    from workshop.classroom.accounts import must_be_root
    from workshop.classroom.demands import SettingsError
    from workshop.classroom.people import People

    found = People(settings.read(path))
    must_be_root(_("The roster"))
    if not found.place.private.is_dir():
        raise SettingsError(
            _(
                "There is no course in {folder} yet: run `workshop hub --install` "
                "first.",
                folder=found.place.course,
            )
        )
    return found


@roster.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def import_(path: Path, file: Path | None) -> None:
    """Enrol everybody in FILE (default: the one that workshop.toml names).

    FILE is CSV in UTF-8. Its first line names the columns: name, and as you like
    email, language and account. If any line is wrong, nothing is changed. People who
    are enrolled already keep their accounts and passcodes.
    """
    from workshop.classroom.roster import read

    people = _people(path)
    file = file or people.place.classroom.roster_path
    before = people.listed()
    listing = read(file, people.taken(), before)
    if listing.empty_lines:
        numbers = ", ".join(map(str, listing.empty_lines))
        click.echo(_("Empty lines, passed over: {numbers}.", numbers=numbers), err=True)
    fresh = people.enrol(listing.people)
    click.echo(
        _(
            "Enrolled {n} people; {new} of them are new.",
            n=len(listing.people),
            new=len(fresh),
        )
    )
    named = {each.account for each in listing.people}
    if missing := [each.account for each in before if each.account not in named]:
        click.echo(
            _(
                "Enrolled before, but not in {file}: {accounts}. They stay; "
                "`workshop roster remove ACCOUNT` ends an account.",
                file=file,
                accounts=", ".join(missing),
            ),
            err=True,
        )
    _say_where_cards_are(people, fresh)


@roster.command()
@click.argument("name")
@click.option("--email", default="", help="An address; only kept.")
@click.option("--language", default="", help="A code such as fr or ar.")
@click.option("--account", default="", help="The account, if not made from the name.")
@click.pass_obj
def add(path: Path, name: str, email: str, language: str, account: str) -> None:
    """Enrol one more person: NAME as it should stand on the card."""
    from workshop.classroom.roster import RosterError, person_from

    people = _people(path)
    told = {"account": account, "name": name, "email": email, "language": language}
    person = person_from(told, people.taken(), {})
    if any(each.account == person.account for each in people.listed()):
        raise RosterError(
            _(
                "{account} is enrolled already: give another with --account.",
                account=person.account,
            )
        )
    fresh = people.enrol([person])
    click.echo(
        _("{name} has the account {account}.", name=name, account=person.account)
    )
    _say_where_cards_are(people, fresh)


@roster.command()
@click.argument("accounts", nargs=-1, required=True)
@click.pass_obj
def remove(path: Path, accounts: tuple[str, ...]) -> None:
    """End ACCOUNTS at once; their homes and all submissions are kept."""
    people = _people(path)
    for account in accounts:
        people.find(account)
    for account in accounts:
        home = people.remove(account)
        click.echo(_("{account} was removed.", account=account))
        if home:
            click.echo(_("The home lies in {folder} now.", folder=home))


@roster.command()
@click.argument("accounts", nargs=-1, required=True)
@click.pass_obj
def reset(path: Path, accounts: tuple[str, ...]) -> None:
    """Give ACCOUNTS new passcodes and cards; a lock-out ends, and so do servers."""
    people = _people(path)
    found = [people.find(each) for each in accounts]
    _say_where_cards_are(people, people.renew(found))


@roster.command()
@click.pass_obj
def cards(path: Path) -> None:
    """Make cards again, with new passcodes, for all who have not logged in yet."""
    people = _people(path)
    found = people.unused()
    if not found:
        click.echo(_("Everybody has logged in: no card was made."))
        return
    _say_where_cards_are(people, people.renew(found))


@roster.command("list")
@click.pass_obj
def list_(path: Path) -> None:
    """Print who takes part."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    people = _people(path)
    kept = people.passcodes.accounts()
    table = Table(_("Account"), _("Name"), _("Language"), _("Log-in"), box=None)
    for each in people.listed():
        known = kept.get(each.account)
        state = _("no passcode") if known is None else _("not yet")
        if known is not None and known.locked_at:
            state = _("locked")
        elif known is not None and known.was_used:
            state = _("yes")
        table.add_row(each.account, Text(each.name), each.language, state)
    Console().print(table)


def _say_where_cards_are(people: "People", made: dict[str, str]) -> None:
    if len(made) == 1:  # somebody waits in the room, and no printer is near
        [(account, passcode)] = made.items()
        click.echo(
            _(
                "{account} has the passcode {passcode}. It is shown this once.",
                account=account,
                passcode=passcode,
            )
        )
    if made:
        click.echo(
            _(
                "Cards to print ({n}): {path}. Delete the file afterwards.",
                n=len(made),
                path=people.place.cards,
            )
        )
