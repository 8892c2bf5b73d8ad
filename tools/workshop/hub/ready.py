"""Is all there that a hub needs? One sentence for the first thing that is not."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom.accounts import must_be_root
from workshop.classroom.people import People
from workshop.classroom.place import Place
from workshop.hub import ports

__all__ = ["HubError", "check", "must_not_run", "running"]

HUB = "workshop.hub.run"  # its module: so its process is known
PROXY = "configurable-http-proxy"
LEAST_FREE_MIB = 200
MIB = 1024**2


class HubError(SparrowError):
    """A hub that cannot start on this machine, as things are."""


def check(people: People) -> None:
    """Refuse to start what would fail later.

    Raises:
        HubError: something is missing; the sentence says what to do.
    """
    must_be_root(_("The hub"))
    place = people.place
    if not place.python.exists():
        raise HubError(
            _(
                "There is no environment in {folder}: build it with `workshop hub "
                "--install`.",
                folder=place.environment,
            )
        )
    if not place.private.is_dir() or people.instructor not in people.accounts.ours():
        raise HubError(
            _(
                "There is no course in {folder} yet, or no instructor's account: make "
                "both with `workshop hub --install`.",
                folder=place.course,
            )
        )
    if place.course.stat().st_mode & 0o077:
        raise HubError(
            _(
                "Other accounts may look into {folder}: close it with chmod 700 "
                "{folder}.",
                folder=place.course,
            )
        )
    if shutil.which(PROXY) is None:
        raise HubError(
            _(
                "{program} is not installed: run npm install --global {program}@5.1.",
                program=PROXY,
            )
        )
    _check_space(place)
    _check_port(place)


def _check_space(place: Place) -> None:
    """A full disk loses work: say so before anybody writes."""
    classroom = place.classroom
    for folder in (place.state, place.course, classroom.places.homes):
        free_mib = shutil.disk_usage(folder).free // MIB
        if free_mib < LEAST_FREE_MIB:
            raise HubError(
                _(
                    "The disk of {folder} has {free} MiB free and {least} are needed: "
                    "free some space first.",
                    folder=folder,
                    free=free_mib,
                    least=LEAST_FREE_MIB,
                )
            )


def _check_port(place: Place) -> None:
    if pid := running(place, "hub.pid", HUB):
        raise HubError(
            _(
                "The hub of this workshop runs already, as process {pid}: there is "
                "nothing to do. To start it again, press Ctrl+C in its terminal, or "
                "type sudo systemctl restart sparrow; workshop hub --stop also ends "
                "everybody's servers.",
                pid=pid,
            )
        )
    port = place.classroom.hub.port
    # A proxy that outlived its hub is JupyterHub's to replace.
    if not ports.is_free(port) and not running(place, "proxy.pid", PROXY):
        raise HubError(
            _(
                "Another program listens on port {port}: stop it, or choose another "
                "with port in the table [hub].",
                port=port,
            )
        )


def must_not_run(place: Place) -> None:
    """Refuse to change below a hub what it stands on.

    Raises:
        HubError: the hub runs.
    """
    if pid := running(place, "hub.pid", HUB):
        raise HubError(
            _(
                "The hub runs, as process {pid}, and nobody could hand in any more: "
                "stop it first (Ctrl+C in its terminal, or sudo systemctl stop "
                "sparrow), then type this again.",
                pid=pid,
            )
        )


def running(place: Place, file: str, program: str) -> int:
    """The process that a file of the state names, if it still is that program."""
    with suppress(OSError, ValueError, psutil.Error):
        first = (place.state / file).read_text("ascii").splitlines()[0]
        process = psutil.Process(int(first))
        if any(program in Path(each).name for each in process.cmdline()):
            return process.pid
    return 0
