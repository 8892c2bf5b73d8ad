"""`make start`: set up what is missing, then open the workshop."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sparrow import language
from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.start import jupyter
from workshop.start.environment import Environment
from workshop.start.failures import StartUsageError
from workshop.start.install import BUILDS, install

__all__ = ["main"]


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Read the flags; a wrong one ends with status 2."""
    parser = argparse.ArgumentParser(
        prog="start.py",
        description=_("Set the workshop up (the first time), and open it."),
        epilog=_("TORCH=cpu or TORCH=cuda chooses the build of PyTorch."),
    )
    parser.add_argument("--check", action="store_true", help=_("Set up only."))
    parser.add_argument(
        "--extras",
        default="labs",
        metavar="A,B",
        help=_("What to install: labs, serve, instructor, dev (default: labs)."),
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=jupyter.FIRST_PORT,
        help=_("The first port to try (default: {port}).", port=jupyter.FIRST_PORT),
    )
    parser.add_argument(
        "--no-browser", action="store_true", help=_("Print the address only.")
    )
    return parser.parse_args(argv)


def _port(told: str) -> int:
    """A port that can be.

    Raises:
        ArgumentTypeError: it cannot; the sentence says which can.
    """
    if not told.isdecimal() or not 1 <= int(told) <= 65535:
        raise argparse.ArgumentTypeError(
            _("a port is a number from 1 to 65535, got {got}", got=told)
        )
    return int(told)


def main(argv: Sequence[str], root: Path) -> int:
    """Set up and open; what is wrong is one sentence."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may lack a letter
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    language.use(os.environ.get("SPARROW_LANGUAGE", "en"))
    options = read(argv)
    try:
        return run(options, Environment(root))
    except SparrowError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        again = _("Interrupted: run the same command again, and it goes on from here.")
        print(f"\n{again}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Do what the flags say.

    Raises:
        SparrowError: something is missing or was asked for wrongly.
    """
    extras = [each for each in options.extras.split(",") if each]
    build = os.environ.get("TORCH", "auto") or "auto"
    if build not in BUILDS:
        raise StartUsageError(
            _(
                "TORCH is {got}; it can be {known}.",
                got=build,
                known=", ".join(BUILDS),
            )
        )
    environment.check_extras(extras)
    jupyter.free_port(options.port)  # a wrong one is said before the long work
    if not environment.is_ready(extras, build):
        print(
            _(
                "Setting Sparrow up in {folder}. The first time takes some minutes "
                "and needs the network; later starts need neither.",
                folder=environment.folder,
            ),
            file=sys.stderr,
        )
        install(environment, extras, build)
    if options.check:
        print(_("Sparrow is set up in {folder}.", folder=environment.folder))
        return 0
    return jupyter.open_labs(
        environment.python,
        environment.root,
        options.port,
        browser=not options.no_browser,
    )
