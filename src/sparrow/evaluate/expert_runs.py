"""Do experts, the bias and multi-token prediction pay? Six designs, equal seconds.

    python -m sparrow.evaluate.expert_runs --seeds 6 --seconds 25 --threads 1

trains each design once a seed, all in turns (`sparrow.train.side_by_side`), and keeps
one line of JSON a model. Seeds that are there already are not run again. The committed
result is what lab 03 shows; book/developer/log.md says on what machine it was made.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path

import click

from sparrow import runtime
from sparrow.config import Config
from sparrow.evaluate.acceptance import acceptance
from sparrow.language import _
from sparrow.train.prepare import Lessons, prepare
from sparrow.train.recipe import Recipe
from sparrow.train.side_by_side import Trainee, score, side_by_side, with_threads
from sparrow.train.twins import dense_twin

__all__ = ["DESIGNS", "ExpertRun", "main", "read", "recipes", "shipped"]

FILE = "expert_runs.jsonl"
PENALTY = 0.01  # weight of the classical balance loss
LAST = 0.25  # the part of the steps that MaxVio is averaged over


@dataclass(frozen=True, kw_only=True)
class ExpertRun:
    """One trained model. Parts of the held-out text have names."""

    design: str
    seed: int
    seconds: float
    threads: int
    steps: int
    tokens: int
    bits_per_byte: dict[str, float]
    max_violation: float | None  # the mean over the last quarter of the steps
    accepted: dict[str, tuple[int, int]]  # how many of how many guesses

    @property
    def mean_bits_per_byte(self) -> float:
        """The mean over parts, each of equal weight."""
        return sum(self.bits_per_byte.values()) / len(self.bits_per_byte)


def _designs() -> dict[str, Recipe]:
    """The six, by name: what differs, and nothing else."""
    pico = Config.preset("pico")
    alone = pico.replace(num_nextn_predict_layers=0)
    base = Recipe(
        model=pico, batch_size=8, length=128, corpus_mb=2.0, balance_weight=0.0
    )
    return {
        "bias": base,
        "nothing": replace(base, bias_speed=0.0),
        "penalty": replace(base, bias_speed=0.0, balance_weight=PENALTY),
        "dense": replace(base, model=dense_twin(pico)),
        "bias, no MTP": replace(base, model=alone),
        "dense, no MTP": replace(base, model=dense_twin(alone)),
    }


DESIGNS = ("bias", "nothing", "penalty", "dense", "bias, no MTP", "dense, no MTP")


def recipes(*names: str, seed: int = 0) -> dict[str, Recipe]:
    """The recipes of some designs, or of all."""
    known = _designs()
    return {name: replace(known[name], seed=seed) for name in names or DESIGNS}


def _told(name: str, trainee: Trainee, lessons: Lessons, threads: int) -> ExpertRun:
    """What is kept of a trained model."""
    violations = trainee.max_violations
    last = violations[-max(1, round(LAST * len(violations))) :]
    accepted = {}
    if trainee.model.mtp:
        for part, text in lessons.held_out.items():
            draw = runtime.generator(trainee.recipe.seed)
            kept = acceptance(trainee.model, text.documents, generator=draw)
            accepted[part] = (round(kept.estimate * kept.n), kept.n)
    return ExpertRun(
        design=name,
        seed=trainee.recipe.seed,
        seconds=round(trainee.seconds, 2),
        threads=threads,
        steps=len(trainee.learned),
        tokens=trainee.tokens,
        bits_per_byte={
            part: scored.bits_per_byte
            for part, scored in score(trainee, lessons).items()
        },
        max_violation=sum(last) / len(last) if last else None,
        accepted=accepted,
    )


def read(path: Path) -> list[ExpertRun]:
    """All runs that a file holds; none if there is no file."""
    return _parsed(path.read_text("utf-8")) if path.is_file() else []


def shipped() -> list[ExpertRun]:
    """The runs that come with the library."""
    return _parsed(
        resources.files("sparrow.evaluate").joinpath(FILE).read_text(encoding="utf-8")
    )


def _parsed(lines: str) -> list[ExpertRun]:
    found = []
    for line in lines.splitlines():
        told = json.loads(line)
        pairs: Mapping[str, list[int]] = told["accepted"]
        told["accepted"] = {part: (pair[0], pair[1]) for part, pair in pairs.items()}
        found.append(ExpertRun(**told))
    return found


@click.command()
@click.option("--seeds", default=6, help="How many times each design is trained.")
@click.option("--seconds", default=25.0, help="Of training, for each model.")
@click.option("--threads", default=1, help="Of the processor.")
@click.option("--file", "path", default=FILE, type=click.Path(path_type=Path))
def main(seeds: int, seconds: float, threads: int, path: Path) -> None:
    """Train what is not in the file yet, seed by seed."""
    found = read(path)
    for seed in range(seeds):
        if any(each.seed == seed for each in found):
            continue
        asked = recipes(seed=seed)
        with with_threads(threads):
            lessons = prepare(asked["bias"])
            trained = side_by_side(asked, lessons, seconds=seconds, threads=threads)
            found += [
                _told(name, each, lessons, threads) for name, each in trained.items()
            ]
        with runtime.atomic_write(path) as file:
            file.writelines(json.dumps(asdict(each)).encode() + b"\n" for each in found)
        click.echo(_("Seed {seed} is done.", seed=seed), err=True)


if __name__ == "__main__":
    main()
