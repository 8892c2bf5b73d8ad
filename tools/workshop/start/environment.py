"""Know without pip and without a network that `.venv` is whole.

The stamp is written last, so an installation that was interrupted has none and goes on
the next time. It is compared with what the environment was made from.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparrow.language import _
from workshop.start.failures import StartUsageError

__all__ = ["Environment", "Stamp"]

VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
INSTALLED = "from importlib.metadata import version"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an environment was made from."""

    fingerprint: str
    extras: list[str]
    torch: str  # "cpu" or "cuda"
    python: str
    root: str


@dataclass(frozen=True)
class Environment:
    """The project's `.venv`."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        on_windows = sys.platform == "win32"
        return self.folder / ("Scripts/python.exe" if on_windows else "bin/python")

    @property
    def stamp_path(self) -> Path:
        """The file that says that it is whole."""
        return self.folder / "sparrow-start.json"

    def stamp(self) -> Stamp | None:
        """What it was made from; None where it is not whole."""
        try:
            return Stamp(**json.loads(self.stamp_path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_ready(self, extras: Iterable[str], build: str) -> bool:
        """Whether nothing has to be installed."""
        stamp = self.stamp()
        return (
            stamp is not None
            and stamp.fingerprint == self.fingerprint()
            and set(extras) <= set(stamp.extras)
            and build in ("auto", stamp.torch)
            and stamp.root == str(self.root)
            and stamp.python == self.python_version()
        )

    def python_version(self) -> str:
        """Of the interpreter inside, such as 3.11; empty where it does not run."""
        return self.answer(VERSION)

    def installed(self, package: str) -> str:
        """The version of a package inside; empty where it is not there."""
        return self.answer(f"{INSTALLED}; print(version({package!r}))")

    def answer(self, code: str) -> str:
        """What a line of Python prints inside; empty where it fails."""
        try:
            done = subprocess.run(
                [self.python, "-c", code], capture_output=True, text=True, check=False
            )
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def project(self) -> dict[str, Any]:
        """`pyproject.toml`."""
        return tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))

    def fingerprint(self) -> str:
        """A hash of all that decides what is installed, and of nothing else."""
        project = self.project()
        tools = project.get("tool", {}).get("hatch", {})
        decisive = [project["build-system"], project["project"], tools, self.pins()]
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
        wheel = tools.get("build", {}).get("targets", {}).get("wheel", {})
        for source in sorted(wheel.get("shared-data", {})):  # copied, not linked
            digest.update((self.root / source).read_bytes())
        return digest.hexdigest()

    def pins(self) -> dict[str, str]:
        """Package -> the version in constraints.txt."""
        text = (self.root / "constraints.txt").read_text("utf-8")
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    def check_extras(self, extras: Iterable[str]) -> None:
        """Refuse what pyproject.toml does not have.

        Raises:
            StartUsageError: one of them does not exist.
        """
        known = self.project()["project"]["optional-dependencies"]
        for each in extras:
            if each not in known:
                raise StartUsageError(
                    _(
                        'There are no extras named "{name}"; choose from: {known}.',
                        name=each,
                        known=", ".join(known),
                    )
                )

    def write_stamp(self, extras: list[str], build: str) -> None:
        """Say that it is whole; the last step of an installation."""
        stamp = Stamp(
            fingerprint=self.fingerprint(),
            extras=extras,
            torch=build,
            python=self.python_version(),
            root=str(self.root),
        )
        fresh = self.stamp_path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(stamp), indent=2) + "\n", "utf-8")
        fresh.replace(self.stamp_path)
