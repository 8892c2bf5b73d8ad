"""What few bits cost two models, measured once: reports that travel with the package.

    sparrow quantize --model pico-r1 --scheme int8 --scheme int4 --out runs/pico
    python -m sparrow.evaluate.quantized_runs runs/pico

takes the report, lets each model write alone on one thread, and keeps one line of JSON
a model and scheme. A model that is there already is replaced.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from sparrow import quant, runtime
from sparrow.decode import generate
from sparrow.errors import SparrowError, UsageError
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.quantized import Row
from sparrow.language import _
from sparrow.model import Sparrow, named
from sparrow.train.side_by_side import with_threads

__all__ = ["FILE", "ORIGINAL", "QuantizedRun", "main", "shipped", "tokens_per_s"]

FILE = "quantized_runs.jsonl"
ORIGINAL = "fp32"
TOKENS, TIMES = 24, 5


@dataclass(frozen=True)
class QuantizedRun:
    """A model and a scheme: its line of the report, and how fast it writes."""

    model: str
    row: Row
    tokens_per_s: float  # the best of `TIMES`, one request, one thread
    measured: str  # on which processor and day: speeds of two machines do not compare

    @property
    def is_original(self) -> bool:
        """Whether nothing was done to it."""
        return self.row.scheme == ORIGINAL


def tokens_per_s(model: Sparrow) -> float:
    """How fast a model writes for one reader: the best of a few, one thread."""
    prompt = list(range(1, 9))
    seconds = []
    with with_threads(1):
        generate(model, [prompt], max_new_tokens=2, temperature=0)
        for _time in range(TIMES):
            begun = time.perf_counter()
            generate(model, [prompt], max_new_tokens=TOKENS, temperature=0)
            seconds.append(time.perf_counter() - begun)
    return TOKENS / min(seconds)


def take_down(folder: Path) -> list[QuantizedRun]:
    """The lines of one report.

    Raises:
        UsageError: the folder holds no report of `sparrow quantize`.
    """
    try:
        told = json.loads((folder / "report.json").read_bytes())
    except OSError as error:
        raise UsageError(
            _("{folder} holds no report of sparrow quantize.", folder=folder)
        ) from error
    found = []
    measured = f"{runtime.processor()}, {date.today().isoformat()}"
    for each in told["rows"]:
        row = _row(each)
        where = folder / row.scheme
        if row.scheme == ORIGINAL:
            where = named.folder_of(told["model"])
        speed = tokens_per_s(quant.open_model(where).float().eval())
        found.append(QuantizedRun(told["model"], row, round(speed, 1), measured))
    return found


def shipped(model: str) -> list[QuantizedRun]:
    """The lines of a model that come with the library; the original is first."""
    return [each for each in _read(_path()) if each.model == model]


def _path() -> Path:
    return Path(str(resources.files("sparrow.evaluate").joinpath(FILE)))


def _read(path: Path) -> list[QuantizedRun]:
    if not path.is_file():
        return []
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return [QuantizedRun(**{**each, "row": _row(each["row"])}) for each in lines]


def _row(told: dict[str, Any]) -> Row:
    intervals = ("perplexity_change", "accuracy", "accuracy_change")
    found: dict[str, Any] = {
        name: Interval(**each) if name in intervals and each is not None else each
        for name, each in told.items()
    }
    return Row(**found)


def main(argv: Sequence[str] | None = None) -> int:
    """Take down reports, each given as a folder, into the file of the package."""
    path = _path()
    try:
        new = [
            line
            for folder in (sys.argv[1:] if argv is None else argv)
            for line in take_down(Path(folder))
        ]
    except SparrowError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    models = {each.model for each in new}
    lines = [each for each in _read(path) if each.model not in models] + new
    with runtime.atomic_write(path) as file:
        file.writelines(json.dumps(asdict(each)).encode() + b"\n" for each in lines)
    print(_("Wrote {n} lines to {path}.", n=len(lines), path=path))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
