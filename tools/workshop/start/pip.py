"""Run pip inside the environment, and say in one line what it is doing."""

import os
import re
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from sparrow.language import _
from workshop.start import failures
from workshop.start.progress import Stage

__all__ = ["Narrator", "Pip"]

KEPT_LINES = 60
# "Downloading torch-2.13.0-cp311-….whl (191.2 MB)", but not "….whl.metadata (5 kB)"
DOWNLOADING = re.compile(r"Downloading \S*?([^/\s]+?)-(\d[^-\s]*)-?\S* \((\S+ [MG]B)\)")
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
MB = 1_000_000


@dataclass(frozen=True)
class Pip:
    """The pip of one environment."""

    python: Path
    log: Path

    def would_find(self, requirement: str) -> bool:
        """Whether the person's own pip settings lead to this package."""
        question = ["--dry-run", "--no-deps", "--quiet", "--retries", "1"]
        done = subprocess.run(
            [*self._install(), *question, requirement],
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        return done.returncode == 0

    def install(self, *arguments: str, doing: str, stage: Stage) -> None:
        """Install, and show it.

        Raises:
            StartError: pip stopped; the sentence says why and what to do.
        """
        command = [*self._install(), *arguments]
        narrator = Narrator()
        last: deque[str] = deque(maxlen=KEPT_LINES)
        with (
            self.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=self._environment(),
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if not PROGRESS.match(line):
                    log.write(line)
                    last.append(line.strip())
                stage.detail = narrator.hear(line)
        stage.detail = ""
        if process.returncode:
            raise failures.explain(last, doing, self.log)

    def uninstall(self, package: str) -> None:
        """Remove a package, if it is there."""
        uninstall = ["-m", "pip", "uninstall", "--yes", "--quiet", package]
        subprocess.run([self.python, *uninstall], capture_output=True, check=False)

    def _install(self) -> list[str]:
        quiet = ["--disable-pip-version-check", "--no-input"]
        return [str(self.python), "-m", "pip", "install", *quiet]

    def _environment(self) -> dict[str, str]:
        """`PIP_USER` would put everything outside the environment."""
        bar = "raw" if self._knows_raw_progress() else "off"
        own = {"PIP_USER": "0", "PIP_PROGRESS_BAR": bar, "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **own}

    def _knows_raw_progress(self) -> bool:
        """The pip that came with Python may be older than 24.1."""
        asked = [str(self.python), "-m", "pip", "--version"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        found = re.match(r"pip (\d+)\.(\d+)", done.stdout)
        return found is not None and (int(found[1]), int(found[2])) >= (24, 1)


class Narrator:
    """Says what pip is doing, from the lines it prints."""

    def __init__(self) -> None:
        self.now = ""
        self._package = ""

    def hear(self, line: str) -> str:
        """What is being done after this line."""
        if found := PROGRESS.match(line):
            done, total = int(found[1]) // MB, int(found[2]) // MB
            if total:
                self.now = _(
                    "downloading {package}: {done} of {total} MB",
                    package=self._package,
                    done=done,
                    total=total,
                )
        elif found := DOWNLOADING.search(line):
            self._package = f"{found[1]} {found[2]}"
            self.now = _(
                "downloading {package} ({size})", package=self._package, size=found[3]
            )
        elif line.startswith("Collecting "):
            self.now = _("looking for {package}", package=line.split()[1])
        elif "Retrying" in line:
            self.now = _("the network is slow; trying again")
        elif line.startswith("Installing collected packages:"):
            self.now = _("unpacking {n} packages", n=line.count(",") + 1)
        return self.now
