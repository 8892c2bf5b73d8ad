"""Both ways side by side: runs that travel with the package, and what each may cost.

    python -m sparrow.distill.recorded short=runs/reward1 short=runs/taught1 long=…

examines the finished model of each run, and keeps one line of JSON a run. What comes
before the sign names the size of its budget. A run of the same size, way and seed is
replaced; `--only` begins with an empty file.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from sparrow import runtime
from sparrow.distill import budget, examination
from sparrow.distill.budget import Work
from sparrow.errors import SparrowError, UsageError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Tokenizer

__all__ = [
    "FILE",
    "RecordedRun",
    "main",
    "mean_shares",
    "pairs",
    "read",
    "record",
    "shipped",
]

FILE = "recorded_runs.jsonl"


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """One run: what it cost, and how many answers to each problem are right."""

    size: str  # of its budget
    way: str  # reward; hard, forward, reverse: how it was taught
    seed: int
    steps: int
    written: int  # tokens: by the model itself, or by its teacher
    learned: int  # tokens
    flops: float
    seconds: float  # on one thread, the teacher's answers too
    rights: tuple[int, ...]  # of each problem, of `examination.SAMPLES`

    @property
    def shares(self) -> list[float]:
        """Of each problem, the share of answers that are right."""
        return [each / examination.SAMPLES for each in self.rights]

    @property
    def work(self) -> Work:
        """What models wrote, and what one of them learned from."""
        return Work(written=self.written, learned=self.learned)


def record(size: str, folder: Path) -> RecordedRun:
    """Take down a finished run of `sparrow grpo` or `sparrow distill`.

    Raises:
        UsageError: the folder holds no finished run.
    """
    where = folder / "model"
    if not (where / "tokenizer.json").is_file():
        raise UsageError(
            _("{folder} holds no finished run: let it come to its end.", folder=folder)
        )
    model, tokenizer = Sparrow.from_pretrained(where).eval(), Tokenizer(where)
    recipe = json.loads((folder / "recipe.json").read_bytes())
    work = budget.of_run(folder, examination.prompt_tokens(str(where)))
    return RecordedRun(
        size=size,
        way=recipe.get("method", "reward"),
        seed=recipe["seed"],
        steps=recipe["steps"],
        written=work.written,
        learned=work.learned,
        flops=budget.flops(model.config, work),
        seconds=budget.seconds_of(folder),
        rights=tuple(examination.rights(model, tokenizer)),
    )


def read(path: Path) -> list[RecordedRun]:
    """All runs that a file holds; none if there is no file."""
    return _parsed(path.read_text("utf-8")) if path.is_file() else []


def shipped(size: str, way: str) -> list[RecordedRun]:
    """The runs of one size and way that come with the library, by seed."""
    text = resources.files("sparrow.distill").joinpath(FILE).read_text("utf-8")
    return [each for each in _parsed(text) if (each.size, each.way) == (size, way)]


def pairs(size: str) -> list[tuple[RecordedRun, RecordedRun]]:
    """Each run that was taught, and the one by reward that set its budget.

    Both ways are there in the order of their seeds, which need not be the same.
    """
    by_seed = (
        sorted(shipped(size, way), key=lambda each: each.seed)
        for way in ("hard", "reward")
    )
    return list(zip(*by_seed, strict=False))


def mean_shares(size: str, way: str) -> list[float]:
    """The share of right answers to each problem, over the seeds of one way."""
    columns = zip(*(each.shares for each in shipped(size, way)), strict=True)
    return [sum(column) / len(column) for column in columns]


def _parsed(lines: str) -> list[RecordedRun]:
    found = []
    for told in map(json.loads, lines.splitlines()):
        # one digit a problem: short, and easy to compare by eye
        told["rights"] = tuple(map(int, told["rights"]))
        found.append(RecordedRun(**told))
    return found


def written(run: RecordedRun) -> str:
    """The line of a run."""
    return json.dumps(asdict(run) | {"rights": "".join(map(str, run.rights))})


def main(argv: Sequence[str] | None = None) -> int:
    """Take down runs, each given as SIZE=FOLDER, into the file of the package."""
    path = Path(str(resources.files("sparrow.distill").joinpath(FILE)))
    runs = {(each.size, each.way, each.seed): each for each in read(path)}
    try:
        for word in sys.argv[1:] if argv is None else argv:
            if word == "--only":
                runs = {}
                continue
            size, _sign, folder = word.partition("=")
            found = record(size, Path(folder))
            runs[found.size, found.way, found.seed] = found
    except SparrowError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    with runtime.atomic_write(path) as file:
        file.writelines(written(runs[key]).encode() + b"\n" for key in sorted(runs))
    print(_("Wrote {n} runs to {path}.", n=len(runs), path=path))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
