"""Runs of reinforcement learning that travel with the package: other seeds, controls.

    python -m sparrow.rl.recorded "seed 1=runs/seed1" "random reward=runs/random"

lets the finished model of each run, and the one it began with, answer the examination
of lab 07, and keeps one line of JSON a run. A run of the same name is replaced.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sparrow import runtime
from sparrow.errors import SparrowError, UsageError
from sparrow.language import _
from sparrow.model import named
from sparrow.rl import evidence
from sparrow.rl.metrics import Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.train.metrics import read_kind

__all__ = ["FILE", "RecordedRun", "main", "read", "record", "shipped"]

FILE = "recorded_runs.jsonl"


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """One run: step by step, and what its model solves before and after."""

    name: str
    seed: int
    control: str
    seconds: float
    reward: tuple[float, ...]  # of every step; in a control, not what is right
    correctness: tuple[float, ...]
    length: tuple[float, ...]  # tokens an answer
    backtracks: tuple[float, ...]  # tries given up, an answer
    before: tuple[bool, ...]  # of each problem: is the first answer right?
    after: tuple[bool, ...]


def record(name: str, folder: Path) -> RecordedRun:
    """Take down a finished run.

    Raises:
        UsageError: the folder holds no finished run.
    """
    lines = read_kind(folder, Rollouts)
    if not lines or not (folder / "model" / "tokenizer.json").is_file():
        raise UsageError(
            _("{folder} holds no finished run: let it come to its end.", folder=folder)
        )
    recipe = GrpoRecipe(**json.loads((folder / "recipe.json").read_bytes()))
    first = evidence.opened(named.folder_of(recipe.init))
    return RecordedRun(
        name=name,
        seed=recipe.seed,
        control=recipe.control,
        seconds=round(lines[-1].seconds, 1),
        reward=tuple(round(each.reward, 4) for each in lines),
        correctness=tuple(round(each.correctness, 4) for each in lines),
        length=tuple(round(each.length, 2) for each in lines),
        backtracks=tuple(round(each.backtracks, 3) for each in lines),
        before=tuple(evidence.solved(*first)),
        after=tuple(evidence.solved(*evidence.opened(folder / "model"))),
    )


def read(path: Path) -> dict[str, RecordedRun]:
    """All runs that a file holds, by name; none if there is no file."""
    return _parsed(path.read_text("utf-8")) if path.is_file() else {}


def shipped() -> dict[str, RecordedRun]:
    """The runs that come with the library, by name."""
    return _parsed(
        resources.files("sparrow.rl").joinpath(FILE).read_text(encoding="utf-8")
    )


def _parsed(lines: str) -> dict[str, RecordedRun]:
    found = {}
    for line in lines.splitlines():
        told: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(line).items()
        }
        # one character a problem: short, and easy to compare by eye
        for name in ("before", "after"):
            told[name] = tuple(each == "1" for each in told[name])
        found[told["name"]] = RecordedRun(**told)
    return found


def written(run: RecordedRun) -> str:
    """The line of a run."""
    told = asdict(run)
    for name in ("before", "after"):
        told[name] = "".join("1" if each else "0" for each in told[name])
    return json.dumps(told)


def main(argv: Sequence[str] | None = None) -> int:
    """Take down runs, each given as NAME=FOLDER, into the file of the package."""
    path = Path(str(resources.files("sparrow.rl").joinpath(FILE)))
    runs = read(path)
    try:
        for each in sys.argv[1:] if argv is None else argv:
            name, _sign, folder = each.partition("=")
            runs[name] = record(name, Path(folder))
    except SparrowError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    with runtime.atomic_write(path) as file:
        file.writelines(written(run).encode() + b"\n" for run in runs.values())
    print(_("Wrote {n} runs to {path}.", n=len(runs), path=path))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
