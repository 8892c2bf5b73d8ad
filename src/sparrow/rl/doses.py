"""How much imitation is enough, and of what? Three cold starts, seen through the gate.

    python -m sparrow.rl.doses --steps 400 --threads 1

trains each way once from the base model that travels with the package, and keeps one
line of JSON a look. Ways that are there already are not run again. The committed result
is what lab 06 shows; book/developer/log.md says on what machine it was made.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import click
import torch
from torch import Tensor

from sparrow import runtime
from sparrow.evaluate.run import ask
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.rl import gate, problems
from sparrow.rl.recipe import GrpoRecipe
from sparrow.rl.snapshots import Snapshots
from sparrow.text import Tokenizer
from sparrow.train import examples, metrics
from sparrow.train.sft import Examined, SftRecipe, sft
from sparrow.train.side_by_side import with_threads

__all__ = ["WAYS", "Dose", "main", "read", "shipped"]

FILE = "doses.jsonl"
HELD_OUT = 200
FEW = 300
EVERY = 100  # steps between looks
# What differs between the ways, and nothing else.
WAYS = ("answers", "everything", "few")


@dataclass(frozen=True, kw_only=True)
class Dose:
    """What a model is like after so many steps of one way to imitate."""

    way: str
    seed: int
    step: int
    pass1: float
    pass8: float
    entropy: float
    degenerate_frac: float
    groups: int  # of eight answers: what the figures above come from
    solved: int  # held-out problems, at the first greedy answer
    asked: int
    loss: float | None  # on held-out traces; None before the first step


def recipe(way: str, *, seed: int, steps: int) -> SftRecipe:
    """The cold start of one way."""
    whole = SftRecipe(
        seed=seed,
        steps=steps,
        examples=16_000,
        entropy_floor=0.0,  # nothing stops too early here: that is what we look at
        checkpoint_every_steps=EVERY,
        checkpoint_every_s=1e9,
        evaluate_every_steps=EVERY,
    )
    return replace(whole, examples=FEW) if way == "few" else whole


@contextmanager
def loss_on(way: str) -> Iterator[None]:
    """For "everything" each token of a conversation is learned, questions too."""

    def all_tokens(tokens: Tensor, **_marks: int) -> Tensor:
        return torch.ones_like(tokens, dtype=torch.bool)

    right = examples.answer_mask
    mask = all_tokens if way == "everything" else right
    with mock.patch.object(examples, "answer_mask", mask):
        yield


def doses(way: str, *, seed: int, steps: int) -> list[Dose]:
    """Train one way, and look at every checkpoint."""
    asked = recipe(way, seed=seed, steps=steps)
    rules = GrpoRecipe(numbers=asked.numbers, largest=asked.largest)
    held_out = problems.examination(rules, HELD_OUT)

    def look(model: Sparrow, tokenizer: Tokenizer) -> tuple[gate.Gate, int]:
        first = ask(model, tokenizer, held_out).rewards
        return gate.measure(model, tokenizer, rules), int((first == 1).sum())

    with TemporaryDirectory() as name, loss_on(way):
        watcher = Snapshots(asked.init, Path(name), EVERY, look)
        watcher.finish(sft(asked, Path(name), watch=watcher))
        told = metrics.read_kind(Path(name), Examined)
    losses = {each.step: each.loss for each in told}
    return [
        Dose(
            way=way,
            seed=seed,
            step=step,
            pass1=found.pass1.estimate,
            pass8=found.pass8.estimate,
            entropy=found.entropy,
            degenerate_frac=found.degenerate_frac,
            groups=found.pass8.n,
            solved=solved,
            asked=HELD_OUT,
            loss=losses.get(step),
        )
        for step, (found, solved) in sorted(watcher.seen.items())
    ]


def read(path: Path) -> list[Dose]:
    """All looks that a file holds; none if there is no file."""
    return _parsed(path.read_text("utf-8")) if path.is_file() else []


def shipped(way: str) -> list[Dose]:
    """The looks of one way that come with the library, by step."""
    text = resources.files("sparrow.rl").joinpath(FILE).read_text(encoding="utf-8")
    return [each for each in _parsed(text) if each.way == way]


def _parsed(lines: str) -> list[Dose]:
    return [Dose(**json.loads(line)) for line in lines.splitlines()]


@click.command()
@click.option("--steps", default=400, help="How many steps each way takes.")
@click.option("--seed", default=1, help="Decides everything that is drawn.")
@click.option("--threads", default=1, help="Of the processor.")
@click.option("--file", "path", default=FILE, type=click.Path(path_type=Path))
def main(steps: int, seed: int, threads: int, path: Path) -> None:
    """Train what is not in the file yet, way by way."""
    found = read(path)
    for way in WAYS:
        if any(each.way == way for each in found):
            continue
        with with_threads(threads):
            found += doses(way, seed=seed, steps=steps)
        with runtime.atomic_write(path) as file:
            file.writelines(json.dumps(asdict(each)).encode() + b"\n" for each in found)
        click.echo(_("{way} is done.", way=way), err=True)


if __name__ == "__main__":
    main()
