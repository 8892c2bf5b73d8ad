"""What lab 06 leaves behind: a cold start, which stands before the gate.

Whoever grades lets the model answer again, instead of believing a number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sparrow import checkpoints
from sparrow.config import Config
from sparrow.errors import CheckpointError, ConfigError
from sparrow.evaluate.run import Answers
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.rl import evidence, gate
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train import metrics, state

__all__ = [
    "FILE",
    "RULES",
    "Evidence",
    "drawn",
    "leave",
    "measured",
    "read",
    "refuse_shipped",
]

FILE = "06_cold_start.safetensors"
BASE = "pico-base"  # the model that the lab starts from
HARDLY = 1e-3  # of its size: less than a few steps of training
ALIKE = 0.6  # cosine between two ways from BASE; above, it is the same run
RULES = GrpoRecipe()  # which problems are asked, and how: the same for everybody
Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The learner's model, how it came to be, and what the learner says of it."""

    weights: Weights
    config: dict[str, Any]
    recipe: dict[str, Any]  # with the learner's own seed
    losses: list[float]  # of every step
    claim: dict[str, Any]


def drawn(model: Sparrow, tokenizer: Tokenizer) -> Answers:
    """Eight answers to each of 64 problems: those that the gate looks at."""
    return gate.draw(model, tokenizer, RULES)


def leave(path: Path, *, run: Path, claim: Mapping[str, Any]) -> Path:
    """Write the evidence of a finished run.

    Args:
        path: the file to write.
        run: the run's folder.
        claim: what the learner found: `pass1`, `pass8`, `entropy`, `degenerate`.

    Raises:
        CheckpointError: the run has not ended yet.
    """
    folder = run / "model"
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            _("{folder} holds no finished run: let it come to its end.", folder=run)
        )
    model = Sparrow.from_pretrained(folder)
    # Copies: tied weights share their memory, and a file of tensors may not.
    tensors = {
        f"model.{name}": each.clone() for name, each in model.state_dict().items()
    }
    told = {
        "config": model.config.to_dict(),
        "recipe": json.loads((run / "recipe.json").read_bytes()),
        "losses": [each.loss for each in metrics.read_kind(run, metrics.Step)],
        "claim": dict(claim),
    }
    state.write_whole(path, save(tensors, metadata={"evidence": json.dumps(told)}))
    return path


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = json.loads(header["__metadata__"]["evidence"])
        tensors = load(data)
        return Evidence(
            weights={
                name.removeprefix("model."): each
                for name, each in tensors.items()
                if name.startswith("model.")
            },
            config=dict(told["config"]),
            recipe=dict(told["recipe"]),
            losses=[float(each) for each in told["losses"]],
            claim=dict(told["claim"]),
        )
    except (SafetensorError, LookupError, ValueError, TypeError) as error:
        raise CheckpointError(
            _("the file that the lab leaves is damaged ({reason}).", reason=error)
        ) from error


def refuse_shipped(found: Evidence) -> None:
    """The models that travel with the package are nobody's own work.

    Two runs with different seeds go different ways from where they began. A shipped
    model that was mixed with its beginning, or has a little noise, went the same way.

    Raises:
        CheckpointError: it is, or nearly is, such a model.
    """
    start = evidence.shipped(BASE)
    if not evidence.same_shapes(found.weights, start):
        return  # another kind of model: `measured` says whether it can be asked
    way = evidence.difference(found.weights, start)
    for name in checkpoints.names():
        other = start if name == BASE else evidence.shipped(name)
        if not evidence.same_shapes(start, other):
            continue
        if name == BASE:
            is_own = evidence.length(way) > HARDLY * evidence.length(start)
        else:
            theirs = evidence.difference(other, start)
            is_own = evidence.likeness(way, theirs) < ALIKE
        if not is_own:
            raise CheckpointError(
                _(
                    "This is {name}, a model that travels with the package, or nearly "
                    "so: leave the run that you trained, with a seed of your own.",
                    name=name,
                )
            )


def measured(found: Evidence) -> gate.Gate:
    """What the gate finds: everything asked again, now, in the words of the base.

    A tokenizer from the file could turn any tokens into right answers.

    Raises:
        CheckpointError: the weights are not those of the configuration.
    """
    try:
        given = {name: each for name, each in found.config.items() if each is not None}
        model = Sparrow(Config(**given))
        model.load_state_dict(found.weights)
    except (ConfigError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            _("the file that the lab leaves is damaged ({reason}).", reason=error)
        ) from error
    tokenizer = Tokenizer(checkpoints.find(BASE))
    return gate.measure(model.eval(), tokenizer, RULES)
