"""UNIX accounts, one a person: nbgrader and the kernel tell people apart by them.

A group marks the accounts that are ours; no other account is ever changed.
"""

import grp
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom.place import why

__all__ = ["AccountError", "Accounts", "must_be_root"]

PATIENCE_S = 5
SKELETON = Path("/etc/skel")


class AccountError(SparrowError):
    """An account that cannot be made, changed or removed."""


def must_be_root(doing: str) -> None:
    """Refuse early what only root can do.

    Raises:
        AccountError: somebody else runs this.
    """
    if os.geteuid() != 0:
        raise AccountError(
            _("{doing} needs root: run the same command with sudo.", doing=doing)
        )


class Accounts:
    """The accounts of one classroom."""

    def __init__(self, group: str, homes: Path) -> None:
        self.group, self.homes = group, homes

    def ours(self) -> list[str]:
        """The accounts that this classroom made."""
        try:
            return sorted(grp.getgrnam(self.group).gr_mem)
        except KeyError:
            return []

    def foreign(self) -> set[str]:
        """Every other account of this machine."""
        return {each.pw_name for each in pwd.getpwall()} - set(self.ours())

    def add(self, account: str, home: Path | None = None) -> None:
        """Make an account with a private home; one that is ours already is kept.

        Raises:
            AccountError: the name is somebody else's, or the system refuses.
        """
        home = home or self.homes / account
        if account in self.foreign():
            raise AccountError(
                _(
                    "{account} is somebody else's account on this machine: choose "
                    "another name.",
                    account=account,
                )
            )
        self._make_folder()
        _run("groupadd", "--force", "--system", self.group)
        if account not in self.ours():
            line = ["--user-group", "--groups", self.group, "--shell", "/bin/bash"]
            line += ["--home-dir", str(home), "--no-create-home", "--no-log-init"]
            _run("useradd", *line, "--comment", "Sparrow workshop", account)
        self._make_home(account, home)

    def remove(self, account: str) -> Path | None:
        """End an account and its processes; its home is kept aside.

        Returns:
            Where the home lies now; None where there was none.

        Raises:
            AccountError: it is not ours, or its processes do not end.
        """
        if account not in self.ours():
            raise AccountError(
                _(
                    "{account} is no account of this workshop; it has {known}.",
                    account=account,
                    known=", ".join(self.ours()) or _("none"),
                )
            )
        home = Path(pwd.getpwnam(account).pw_dir)
        self.stop(account)
        aside = self.homes / f".removed-{account}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            if home.is_dir():
                home.rename(aside)
                os.chown(aside, 0, 0)  # another account may get the same number
        except OSError as error:
            raise AccountError(
                _(
                    "The home {home} cannot be put aside ({reason}); the account "
                    "{account} was left as it is.",
                    home=home,
                    reason=error.strerror or error,
                    account=account,
                )
            ) from error
        _run("userdel", account)
        return aside if aside.exists() else None

    def stop(self, account: str) -> None:
        """End every process of an account of ours."""
        assert account in self.ours()
        number = pwd.getpwnam(account).pw_uid
        until = time.monotonic() + PATIENCE_S
        while running := [
            each for each in psutil.process_iter() if _is_of(each, number)
        ]:
            for process in running:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(running, timeout=0.2)
            if time.monotonic() > until:
                raise AccountError(
                    _(
                        "Processes of {account} do not end: {numbers}.",
                        account=account,
                        numbers=", ".join(str(each.pid) for each in running),
                    )
                )

    def _make_folder(self) -> None:
        """The folder of homes: people pass through it, and list nothing."""
        try:
            self.homes.mkdir(parents=True, exist_ok=True)
            self.homes.chmod(0o711)
        except OSError as error:
            raise AccountError(
                _(
                    "The folder of homes {folder} cannot be made ({reason}).",
                    folder=self.homes,
                    reason=error.strerror or error,
                )
            ) from error

    def _make_home(self, account: str, home: Path) -> None:
        person = pwd.getpwnam(account)
        try:
            if not home.exists():
                draft = home.with_name(f".{home.name}.part")
                shutil.rmtree(draft, ignore_errors=True)
                if SKELETON.is_dir():
                    shutil.copytree(SKELETON, draft)
                draft.mkdir(exist_ok=True)
                for each in draft.rglob("*"):
                    os.lchown(each, person.pw_uid, person.pw_gid)
                draft.rename(home)
            os.chown(home, person.pw_uid, person.pw_gid)
            home.chmod(0o700)
        except OSError as error:
            raise AccountError(
                _(
                    "The home {home} cannot be made ({reason}).",
                    home=home,
                    reason=why(error),
                )
            ) from error


def _is_of(process: psutil.Process, number: int) -> bool:
    try:
        is_alive = process.status() != psutil.STATUS_ZOMBIE
        return is_alive and number in process.uids()
    except psutil.NoSuchProcess:
        return False


def _run(*line: str) -> None:
    """Run one of the system's commands."""
    doing: Sequence[str] = line
    try:
        done = subprocess.run(doing, capture_output=True, text=True, check=False)
    except OSError as error:
        raise AccountError(
            _(
                "{command} cannot be run ({reason}): install the package passwd.",
                command=line[0],
                reason=error.strerror or error,
            )
        ) from error
    if done.returncode:
        raise AccountError(
            _(
                "{command} refused: {reason}.",
                command=line[0],
                reason=(done.stderr.strip().splitlines() or ["?"])[-1].rstrip("."),
            )
        )
