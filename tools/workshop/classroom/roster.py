"""Read `learners.csv`: who takes part, under which account, and what is wrong with it.

Every line is looked at before anything is said, so that a list is mended in one go.
"""

import csv
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from sparrow.errors import UsageError
from sparrow.language import _
from workshop.classroom.account_names import LONGEST, account_for
from workshop.classroom.demands import nearest
from workshop.classroom.tables import ACCOUNT, LANGUAGE

__all__ = ["Listing", "Person", "RosterError", "person_from", "read"]

DELIMITERS = ",;\t"  # a spreadsheet writes ; where a comma stands in numbers


class RosterError(UsageError):
    """A list of learners that cannot be taken as it is."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who takes part."""

    account: str
    name: str
    email: str = ""
    language: str = ""


COLUMNS = tuple(each.name for each in fields(Person))


@dataclass(frozen=True)
class Listing:
    """The people of a list, and the numbers of its empty lines."""

    people: list[Person]
    empty_lines: list[int]


@dataclass(frozen=True)
class Row:
    """A line of the list, by its column names."""

    line: int
    cells: dict[str, str]


def read(path: Path, taken: Collection[str], known: Iterable[Person] = ()) -> Listing:
    """The people of a list.

    Args:
        path: a CSV file in UTF-8 with a first line of column names.
        taken: accounts of this machine that belong to somebody else.
        known: people who are enrolled already; they keep their accounts.

    Raises:
        RosterError: it cannot be read, or lines are wrong; one sentence for each.
    """
    rows, empty = _rows(path)
    accounts = {(each.name, each.email): each.account for each in known}
    people: list[Person] = []
    first: dict[str, tuple[int, str]] = {}
    problems: list[str] = []
    for row in rows:
        try:
            person = person_from(row.cells, taken, accounts)
            if person.account in first:
                raise RosterError(_clash(person, *first[person.account]))
        except RosterError as problem:
            told = _("Line {line}: {problem}", line=row.line, problem=problem)
            problems.append(told)
        else:
            first[person.account] = (row.line, person.name)
            people.append(person)
    if problems:
        problems.append(
            _("Nothing was changed: mend {path} and import it again.", path=path)
        )
        raise RosterError("\n".join(problems))
    if not people:
        raise RosterError(
            _("{path} names nobody: write one line for each learner.", path=path)
        )
    return Listing(people, empty)


def _rows(path: Path) -> tuple[list[Row], list[int]]:
    """The lines of a list, and the numbers of the empty ones."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise RosterError(
            _(
                "{path} is not written in UTF-8, so names would be damaged: save it "
                'again as "CSV UTF-8".',
                path=path,
            )
        ) from None
    except OSError as error:
        raise RosterError(
            _(
                "{path} cannot be read ({reason}).",
                path=path,
                reason=error.strerror or error,
            )
        ) from error
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    lines = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    rows, empty, names = [], [], None
    try:
        for cells in lines:
            if not any(each.strip() for each in cells):
                empty.append(lines.line_num)
            elif names is None:
                names = _column_names(cells, path)
            elif len(cells) > len(names):
                raise RosterError(
                    _(
                        "Line {line}: {got} cells for {want} columns; put quotes "
                        'around a name with a comma, as in "Silva, Ana".',
                        line=lines.line_num,
                        got=len(cells),
                        want=len(names),
                    )
                )
            else:
                told = dict(zip(names, cells, strict=False))
                rows.append(Row(lines.line_num, told))
    except csv.Error as error:
        raise RosterError(
            _("Line {line}: {reason}.", line=lines.line_num, reason=error)
        ) from error
    if names is None:
        raise RosterError(
            _(
                "{path} is empty: its first line names the columns, such as {example}.",
                path=path,
                example="name,email,language",
            )
        )
    return rows, empty


def _tidy(cell: str) -> str:
    """One way to write each letter, and no spaces that nobody sees."""
    return " ".join(unicodedata.normalize("NFC", cell).split())


def _column_names(cells: list[str], path: Path) -> list[str]:
    names = [_tidy(each).lower() for each in cells]
    for each in names:
        if each not in COLUMNS or names.count(each) > 1:
            raise RosterError(
                _(
                    'The first line of {path} names a column "{got}"{hint}: each of '
                    "{known} may stand there once.",
                    path=path,
                    got=each,
                    hint=nearest(each, COLUMNS),
                    known=", ".join(COLUMNS),
                )
            )
    if "name" not in names:
        raise RosterError(
            _(
                "The first line of {path} has no column called name: it could be "
                "{example}.",
                path=path,
                example="name,email,language",
            )
        )
    return names


def person_from(
    cells: Mapping[str, str],
    taken: Collection[str],
    known: Mapping[tuple[str, str], str],
) -> Person:
    """Somebody, from what is told about them.

    Args:
        cells: column -> what stands in it; only `name` is needed.
        taken: accounts of this machine that belong to somebody else.
        known: (name, email) -> the account of somebody who has one already.

    Raises:
        RosterError: something is wrong; the sentence says what.
    """
    told = {column: _tidy(cells.get(column, "")) for column in COLUMNS}
    name, email = told["name"], told["email"]
    _check_name(name)
    if told["language"] and not LANGUAGE.fullmatch(told["language"]):
        raise RosterError(
            _(
                '"{got}" is no language: write a code such as fr, ar or pt_BR.',
                got=told["language"],
            )
        )
    account = known.get((name, email)) or told["account"] or account_for(name, email)
    if not account:
        raise RosterError(
            _(
                "no account can be made from the name {name}, since accounts have only "
                "the letters a to z: write one in a column called account, or an "
                "address in a column called email.",
                name=name,
            )
        )
    if not ACCOUNT.fullmatch(account):
        raise RosterError(
            _(
                '"{account}" cannot be an account: use small letters a to z, digits '
                "and dashes, a letter first, at most {n}.",
                account=account,
                n=LONGEST,
            )
        )
    if account in taken:
        raise RosterError(
            _(
                "{account} is somebody else's account on this machine: choose another "
                "account for {name}.",
                account=account,
                name=name,
            )
        )
    return Person(account=account, name=name, email=email, language=told["language"])


def _check_name(name: str) -> None:
    if not any(each.isalpha() for each in name):
        raise RosterError(_('the name is missing; got "{got}".', got=name))
    if hidden := next((c for c in name if unicodedata.category(c) == "Cc"), ""):
        raise RosterError(
            _(
                "the name holds {sign}, which no name has: delete it.",
                sign=ascii(hidden),
            )
        )


def _clash(person: Person, first_line: int, first_name: str) -> str:
    """Two lines with one account: the same person twice, or two of one name."""
    if person.name == first_name:
        return _(
            "{name} stands in line {first} already, with the account {account}: delete "
            "one of them or, if they are two people, write two different accounts in a "
            "column called account.",
            name=person.name,
            first=first_line,
            account=person.account,
        )
    return _(
        "{name} would get the account {account}, as {other} in line {first}: write two "
        "different accounts in a column called account.",
        name=person.name,
        account=person.account,
        other=first_name,
        first=first_line,
    )
