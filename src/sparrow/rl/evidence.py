"""What lab 07 leaves behind: a model that reward alone has changed, and its log.

Whoever grades lets the model answer again, instead of believing a number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sparrow import checkpoints
from sparrow.config import Config
from sparrow.errors import CheckpointError, ConfigError
from sparrow.evaluate import run as evaluation
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.rl import problems
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train import state
from sparrow.verify import Problem

__all__ = [
    "BEFORE",
    "FILE",
    "Evidence",
    "examination",
    "leave",
    "measured",
    "opened",
    "read",
    "refuse_shipped",
    "solved",
]

FILE = "07_grpo.safetensors"
BEFORE = "pico-cold-start"  # the model that the lab starts from
PROBLEMS = 200
HARDLY = 1e-5  # of its size: less than one step of training
ALIKE = 0.8  # cosine between two ways from BEFORE; above, it is the same run
Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The learner's model, how it came to be, and what the learner says of it."""

    weights: Weights
    config: dict[str, Any]
    recipe: dict[str, Any]  # with the learner's own seed
    rewards: list[float]  # the mean reward of every step
    claim: dict[str, Any]


@cache
def examination() -> tuple[Problem, ...]:
    """The problems that everybody's model is asked: no training ever met them."""
    return tuple(problems.examination(GrpoRecipe(), PROBLEMS))


def solved(model: Sparrow, tokenizer: Tokenizer) -> list[bool]:
    """Which problems of the examination the model's first answer solves; greedy."""
    answers = evaluation.ask(model, tokenizer, examination())
    return [row[0].correctness == 1 for row in answers.scores]


def opened(folder: Path) -> tuple[Sparrow, Tokenizer]:
    """A model with its tokenizer, ready to answer."""
    return Sparrow.from_pretrained(folder).eval(), Tokenizer(folder)


def leave(path: Path, *, run: Path, claim: Mapping[str, Any]) -> Path:
    """Write the evidence of a finished run.

    Args:
        path: the file to write.
        run: the run's folder.
        claim: what the learner found: `gain`, `low` and `high`, as shares.

    Raises:
        CheckpointError: the run has not ended yet.
    """
    folder = run / "model"
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            _("{folder} holds no finished run: let it come to its end.", folder=run)
        )
    model, _tokenizer = opened(folder)
    # Copies: tied weights share their memory, and a file of tensors may not.
    tensors = {
        f"model.{name}": each.clone() for name, each in model.state_dict().items()
    }
    told = {
        "config": model.config.to_dict(),
        "recipe": json.loads((run / "recipe.json").read_bytes()),
        "rewards": rewards_of(run),
        "claim": dict(claim),
    }
    state.write_whole(path, save(tensors, metadata={"evidence": json.dumps(told)}))
    return path


def rewards_of(run: Path) -> list[float]:
    """The mean reward of every step of a run, from its log."""
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    return [float(each["reward"]) for each in told if "reward" in each]


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
            rewards=[float(each) for each in told["rewards"]],
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
    start = shipped(BEFORE)
    if not same_shapes(found.weights, start):
        return  # another kind of model: `measured` says whether it can be asked
    way = difference(found.weights, start)
    for name in checkpoints.names():
        other = start if name == BEFORE else shipped(name)
        if not same_shapes(start, other):
            continue
        if name == BEFORE:
            is_own = length(way) > HARDLY * length(start)
        else:
            is_own = likeness(way, difference(other, start)) < ALIKE
        if not is_own:
            raise CheckpointError(
                _(
                    "This is {name}, a model that travels with the package, or nearly "
                    "so: leave the run that you trained, with a seed of your own.",
                    name=name,
                )
            )


def shipped(name: str) -> Weights:
    """The weights of a model that travels with the package."""
    return Sparrow.from_pretrained(checkpoints.find(name)).state_dict()


def same_shapes(one: Weights, other: Weights) -> bool:
    """Whether both are weights of the same kind of model."""
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape for name in one
    )


def difference(one: Weights, other: Weights) -> Weights:
    """The way from `other` to `one`, weight by weight."""
    return {name: each.double() - other[name].double() for name, each in one.items()}


def length(way: Weights) -> float:
    """How long a way is, all weights together."""
    return sum(float((each.double() ** 2).sum()) for each in way.values()) ** 0.5


def likeness(one: Weights, other: Weights) -> float:
    """The cosine between two ways: 1 if they go in the same direction."""
    both = sum(float((each * other[name]).sum()) for name, each in one.items())
    return both / max(length(one) * length(other), 1e-30)


def measured(found: Evidence) -> dict[str, list[bool]]:
    """Which problems are solved before and after: everything asked again, now.

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
    # Reward changes no tokenizer, so nobody has to hand one in.
    first, tokenizer = opened(checkpoints.find(BEFORE))
    if model.config.vocab_size != first.config.vocab_size:
        raise CheckpointError(
            _(
                "The model has {got} tokens, {name} has {want}: begin with that one.",
                got=model.config.vocab_size,
                name=BEFORE,
                want=first.config.vocab_size,
            )
        )
    return {
        "before": solved(first, tokenizer),
        "after": solved(model.eval(), tokenizer),
    }
