"""One passcode a person: made here, shown once on a card, kept only as a hash.

The file is read at every log-in, so that a change counts at once, and it is written
under a lock, since the hub and `workshop roster` both do.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from sparrow.errors import StorageError
from sparrow.language import _
from workshop.classroom.place import private_write
from workshop.classroom.tables import LoginTable

__all__ = ["Passcodes", "Verdict", "make"]

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # no two that look alike in print
GROUPS, IN_GROUP = 3, 4  # 59 bits
SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # 16 MiB and about 50 ms a try


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is known of one passcode."""

    salt: str
    hash: str
    failures: int = 0
    locked_at: float = 0.0
    was_used: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a try."""

    kind: Literal["accepted", "wrong", "locked"]
    wait_s: float = 0.0
    is_first: bool = False  # the first log-in since the passcode was made


def make() -> str:
    """A new passcode, such as `k7mq-2xvd-9htp`."""
    drawn = [secrets.choice(LETTERS) for _at in range(GROUPS * IN_GROUP)]
    starts = range(0, len(drawn), IN_GROUP)
    return "-".join("".join(drawn[at : at + IN_GROUP]) for at in starts)


def _hashed(passcode: str, salt: str) -> str:
    """A passcode as it is kept; dashes, spaces and capitals do not count."""
    plain = "".join(each for each in passcode.lower() if each.isalnum())
    done = hashlib.scrypt(plain.encode(), salt=base64.b64decode(salt), **SCRYPT)
    return base64.b64encode(done).decode()


def _kept(passcode: str) -> Kept:
    salt = base64.b64encode(secrets.token_bytes(16)).decode()
    return Kept(salt=salt, hash=_hashed(passcode, salt))


NOBODY = Kept(salt=base64.b64encode(bytes(16)).decode(), hash="")


class Passcodes:
    """The file of passcodes, and the rule for wrong ones."""

    def __init__(
        self,
        path: Path,
        login: LoginTable,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.login, self.clock = path, login, clock

    def accounts(self) -> dict[str, Kept]:
        """Account -> what is kept of its passcode.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            told = json.loads(self.path.read_text("utf-8"))
            return {account: Kept(**kept) for account, kept in told.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StorageError(
                _(
                    "The passcodes in {path} cannot be read ({reason}): bring the file "
                    "back from a copy, or delete it and run `workshop roster import`.",
                    path=self.path,
                    reason=error,
                )
            ) from error

    def give(self, passcodes: dict[str, str]) -> None:
        """Keep new passcodes; an old one of the same account ends, and any lock-out."""
        fresh = {account: _kept(passcode) for account, passcode in passcodes.items()}
        with self._changing() as kept:
            kept.update(fresh)

    def take(self, accounts: Iterable[str]) -> None:
        """Forget passcodes: these accounts log in no more."""
        with self._changing() as kept:
            for account in accounts:
                kept.pop(account, None)

    def verify(self, account: str, passcode: str) -> Verdict:
        """Compare, count wrong tries, and lock after too many.

        A locked account is not compared: whoever guesses learns nothing meanwhile.
        """
        known = self.accounts().get(account, NOBODY)
        if wait_s := self._wait_s(known):
            return Verdict(kind="locked", wait_s=wait_s)
        if hmac.compare_digest(_hashed(passcode, known.salt), known.hash):
            if known.failures or not known.was_used:
                with self._changing() as kept:
                    kept[account] = replace(
                        known, failures=0, locked_at=0.0, was_used=True
                    )
            return Verdict(kind="accepted", is_first=not known.was_used)
        if known is NOBODY:
            return Verdict(kind="wrong")
        return self._wrong(account)

    def _wrong(self, account: str) -> Verdict:
        """Count one more; the count is read again under the lock."""
        with self._changing() as kept:
            if account not in kept:
                return Verdict(kind="wrong")
            known = kept[account]
            was_locked = known.locked_at > 0  # that time is over: count anew
            failures = 1 if was_locked else known.failures + 1
            locked_at = self.clock() if failures >= self.login.tries else 0.0
            kept[account] = replace(known, failures=failures, locked_at=locked_at)
        if locked_at:
            return Verdict(kind="locked", wait_s=self.login.lock_minutes * 60)
        return Verdict(kind="wrong")

    def _wait_s(self, known: Kept) -> float:
        """How long a lock still lasts; a clock that was set back does not extend it."""
        lock_s = self.login.lock_minutes * 60
        left = known.locked_at + lock_s - self.clock()
        return left if known.locked_at and 0 < left <= lock_s else 0.0

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Kept]]:
        """All that is kept, to change; written when the block ends well."""
        lock = self.path.with_suffix(".lock")
        try:
            file = lock.open("w")
        except OSError as error:
            raise StorageError(
                _(
                    "{path} cannot be written ({reason}): make the course folder with "
                    "`workshop hub --install`, and run this as root.",
                    path=lock,
                    reason=error.strerror or error,
                )
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = self.accounts()
            yield kept
            told = {account: asdict(each) for account, each in kept.items()}
            with private_write(self.path) as written:
                written.write(json.dumps(told, indent=1).encode())
