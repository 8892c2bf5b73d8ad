"""Who takes part: the list that is kept, and every way to change it while a hub runs.

An account, a passcode and a line of the list belong together. They are made in an order
in which a power cut leaves nothing that running the same command again does not mend:
accounts, the list, the page of cards, and last the passcodes.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from sparrow.errors import StorageError
from sparrow.language import _
from workshop.classroom import cards, passcodes, tls
from workshop.classroom.accounts import AccountError, Accounts
from workshop.classroom.place import Place, private_write
from workshop.classroom.roster import Person
from workshop.classroom.tables import Classroom

__all__ = ["People"]


class People:
    """The people of one classroom."""

    def __init__(self, classroom: Classroom) -> None:
        self.place = Place(classroom)
        self.accounts = Accounts(classroom.roster.group, classroom.places.homes)
        self.passcodes = passcodes.Passcodes(self.place.passcodes, classroom.login)
        self.instructor = classroom.hub.instructor

    def listed(self) -> list[Person]:
        """The learners, as they were imported and added.

        Raises:
            StorageError: the list cannot be read.
        """
        path = self.place.people
        try:
            told = json.loads(path.read_text("utf-8"))
            return [Person(**each) for each in told]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                _(
                    "The list of learners in {path} cannot be read ({reason}): bring "
                    "it back from a copy, or delete it and import it again.",
                    path=path,
                    reason=error,
                )
            ) from error

    def taken(self) -> set[str]:
        """Accounts that no learner may have."""
        return self.accounts.foreign() | {self.instructor}

    def enrol(self, people: Sequence[Person]) -> dict[str, str]:
        """Make what is missing of accounts, passcodes and the list.

        Returns:
            The passcodes that were made, by account; the cards are in `place.cards`.

        Raises:
            SparrowError: an account, a passcode or a card could not be made.
        """
        for person in people:
            self.accounts.add(person.account)
        have = self.passcodes.accounts()
        fresh = [each for each in people if each.account not in have]
        kept = {each.account: each for each in self.listed()}
        kept.update({each.account: each for each in people})
        self._write(kept.values())
        return self._give(fresh) if fresh else {}

    def renew(self, people: Sequence[Person]) -> dict[str, str]:
        """New passcodes and cards: the old ones end, and so do servers and lock-outs.

        Returns:
            The passcodes, by account.

        Raises:
            SparrowError: a passcode or a card could not be written.
        """
        made = self._give(people)
        for person in people:
            self.accounts.stop(person.account)
        return made

    def remove(self, account: str) -> Path | None:
        """End a learner's account; the home and all submissions are kept.

        Returns:
            Where the home lies now.

        Raises:
            SparrowError: there is no such learner, or the account does not end.
        """
        self.find(account)
        self.passcodes.take([account])
        home = self.accounts.remove(account)
        self._write(each for each in self.listed() if each.account != account)
        return home

    def find(self, account: str) -> Person:
        """Somebody on the list, or the instructor.

        Raises:
            AccountError: nobody has this account.
        """
        if account == self.instructor and account in self.accounts.ours():
            return Person(account=account, name=_("Instructor"))
        known = {each.account: each for each in self.listed()}
        if account not in known:
            raise AccountError(
                _(
                    "Nobody has the account {account}: choose from {known}.",
                    account=account,
                    known=", ".join(sorted(known)) or _("none"),
                )
            )
        return known[account]

    def unused(self) -> list[Person]:
        """Learners who never logged in with the passcode that they have."""
        kept = self.passcodes.accounts()
        return [
            each
            for each in self.listed()
            if each.account not in kept or not kept[each.account].was_used
        ]

    def _give(self, people: Sequence[Person]) -> dict[str, str]:
        """Make passcodes and the page that shows them, the page first."""
        made = {each.account: passcodes.make() for each in people}
        classroom = self.place.classroom
        certificate = tls.ensure(self.place)
        page = cards.page(classroom, people, made, certificate.fingerprint)
        with private_write(self.place.cards) as file:
            file.write(page.encode())
        self.passcodes.give(made)
        return made

    def _write(self, people: Iterable[Person]) -> None:
        told = [asdict(each) for each in people]
        with private_write(self.place.people) as file:
            file.write(json.dumps(told, indent=1, ensure_ascii=False).encode())
