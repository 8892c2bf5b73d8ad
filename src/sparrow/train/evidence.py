"""What lab 04 leaves behind: a run that was cut, one that was not, and other seeds.

One file holds the weights of all of them, so that whoever grades can compare and
measure again instead of believing a number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sparrow import checkpoints
from sparrow.config import Config
from sparrow.data import corpus
from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Tokenizer
from sparrow.train import handed_in, metrics, state
from sparrow.train.handed_in import Weights, config_of
from sparrow.train.held_out import bits_per_byte

__all__ = [
    "FILE",
    "Evidence",
    "bits_of",
    "bits_of_run",
    "examination",
    "leave",
    "measured",
    "read",
    "refuse_shipped",
    "weights",
]

FILE = "04_pretraining.safetensors"
EXAMINATION = 6_000  # bytes of each part
PARTS = ("arithmetic", "puzzles")  # prose differs between versions of Python


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The weights of the runs, and what the learner says of them."""

    alone: Weights  # the run that nothing happened to
    resumed: Weights  # the run that was killed
    others: tuple[Weights, ...]  # other seeds, in float16
    config: dict[str, Any]
    tokenizers: tuple[bytes, ...]  # of `alone` and of the others: each learned its own
    length: int
    losses: dict[str, list[float]]  # of `alone` and `resumed`, step by step
    claim: dict[str, Any]


@cache
def examination() -> tuple[str, ...]:
    """The text that everybody's model is measured on: facts and puzzles, held out."""
    found = []
    for part in PARTS:
        size = 0
        for document in corpus.held_out()[part]:
            if size < EXAMINATION:
                found.append(document)
                size += len(document.encode())
    return tuple(found)


def weights(run: Path) -> Weights:
    """The weights and buffers that a run ended with.

    Raises:
        CheckpointError: it has no checkpoint.
    """
    newest = state.newest_state(run / "states")
    if newest is None:
        raise CheckpointError(_("{folder} holds no checkpoint yet.", folder=run))
    return handed_in.of_model(newest.tensors)


def leave(
    path: Path,
    *,
    alone: Path,
    resumed: Path,
    others: Sequence[Path],
    claim: Mapping[str, Any],
) -> Path:
    """Write the evidence of finished runs.

    Args:
        path: the file to write.
        alone: folder of the run that nothing happened to.
        resumed: folder of the run that was killed.
        others: folders of runs with other seeds.
        claim: what the learner found: `mean`, `low` and `high`, in bits a byte.
    """
    tensors = {f"alone.{name}": each for name, each in weights(alone).items()}
    tensors |= {f"resumed.{name}": each for name, each in weights(resumed).items()}
    for number, run in enumerate(others):
        for name, each in weights(run).items():
            # half precision: their bits are measured, and not compared
            tensors[f"other{number}.{name}"] = (
                each.half() if each.is_floating_point() else each
            )
    for number, run in enumerate((alone, *others)):
        file = bytearray((run / "model" / "tokenizer.json").read_bytes())
        tensors[f"tokenizer.{number}"] = torch.frombuffer(file, dtype=torch.uint8)
    recipe = json.loads((alone / "recipe.json").read_bytes())
    told = {
        "config": recipe["model"],
        "length": recipe["length"],
        "others": len(others),
        "losses": {
            name: [step.loss for step in metrics.read(run)[0]]
            for name, run in (("alone", alone), ("resumed", resumed))
        },
        "claim": dict(claim),
    }
    return handed_in.pack(path, tensors, told)


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    with handed_in.damage_in_words():
        told, tensors = handed_in.unpack(data)
        found: dict[str, Weights] = {}
        for name, each in tensors.items():
            run, _dot, inner = name.partition(".")
            found.setdefault(run, {})[inner] = each
        return Evidence(
            alone=found["alone"],
            resumed=found["resumed"],
            others=tuple(found[f"other{n}"] for n in range(told["others"])),
            config=told["config"],
            tokenizers=tuple(
                found["tokenizer"][f"{n}"].numpy().tobytes()
                for n in range(1 + told["others"])
            ),
            length=int(told["length"]),
            losses={name: list(told["losses"][name]) for name in ("alone", "resumed")},
            claim=dict(told["claim"]),
        )


def refuse_shipped(found: Evidence) -> None:
    """The models that travel with the package are nobody's own work.

    Raises:
        CheckpointError: one of the runs is such a model.
    """
    shipped = {
        state.fingerprint(Sparrow.from_pretrained(checkpoints.find(name)).state_dict())
        for name in checkpoints.names()
    }
    for each in (found.alone, found.resumed):
        if state.fingerprint(each) in shipped:
            raise CheckpointError(
                _(
                    "This is a model that travels with the package: leave the runs "
                    "that you trained yourself."
                )
            )


def bits_of_run(run: Path) -> float:
    """Bits per byte of the model that a run ended with, on the examination."""
    recipe = json.loads((run / "recipe.json").read_bytes())
    config, tokenizer = config_of(recipe["model"]), Tokenizer(run / "model")
    return bits_of(weights(run), config, tokenizer, recipe["length"])


def bits_of(found: Weights, config: Config, tokenizer: Tokenizer, length: int) -> float:
    """Bits per byte of a model on the examination."""
    model = Sparrow(config)
    model.load_state_dict({name: each.float() for name, each in found.items()})
    documents = examination()
    size = sum(len(each.encode()) for each in documents)
    ids = [tokenizer.encode(each) for each in documents]
    scored = bits_per_byte(model.eval(), ids, size, length=length, end=tokenizer.end)
    return scored.bits_per_byte


def measured(found: Evidence) -> list[float]:
    """Bits per byte of the run alone and of the other seeds, measured now."""
    config = config_of(found.config)
    runs = zip((found.alone, *found.others), found.tokenizers, strict=True)
    return [
        bits_of(each, config, _tokenizer(data), found.length) for each, data in runs
    ]


def _tokenizer(data: bytes) -> Tokenizer:
    with TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer.json").write_bytes(data)
        return Tokenizer(Path(folder))
