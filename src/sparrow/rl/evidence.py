"""What lab 07 leaves behind: a model that reward alone has changed, and its log.

Whoever grades lets the model answer again, instead of believing a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sparrow import checkpoints
from sparrow.errors import CheckpointError
from sparrow.evaluate import run as evaluation
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.rl import problems
from sparrow.rl.metrics import Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train import handed_in
from sparrow.train.handed_in import opened
from sparrow.train.metrics import read_kind
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


@dataclass(frozen=True, kw_only=True)
class Evidence(handed_in.HandedIn):
    """The learner's model, how it came to be, and what the learner says of it."""

    rewards: list[float]  # the mean reward of every step


@cache
def examination() -> tuple[Problem, ...]:
    """The problems that everybody's model is asked: no training ever met them."""
    return tuple(problems.examination(GrpoRecipe(), PROBLEMS))


def solved(model: Sparrow, tokenizer: Tokenizer) -> list[bool]:
    """Which problems of the examination the model's first answer solves; greedy."""
    answers = evaluation.ask(model, tokenizer, examination())
    return [row[0].correctness == 1 for row in answers.scores]


def leave(path: Path, *, run: Path, claim: Mapping[str, Any]) -> Path:
    """Write the evidence of a finished run.

    Args:
        path: the file to write.
        run: the run's folder.
        claim: what the learner found: `gain`, `low` and `high`, as shares.

    Raises:
        CheckpointError: the run has not ended yet.
    """
    rewards = [each.reward for each in read_kind(run, Rollouts)]
    return handed_in.leave(path, run=run, claim=claim, more={"rewards": rewards})


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    with handed_in.damage_in_words():
        fields, told = handed_in.fields(data)
        return Evidence(**fields, rewards=[float(each) for each in told["rewards"]])


def refuse_shipped(found: Evidence) -> None:
    """The models that travel with the package are nobody's own work.

    Raises:
        CheckpointError: it is, or nearly is, such a model.
    """
    handed_in.refuse_shipped(found.weights, before=BEFORE, hardly=HARDLY, alike=ALIKE)


def measured(found: Evidence) -> dict[str, list[bool]]:
    """Which problems are solved before and after: everything asked again, now.

    Raises:
        CheckpointError: the weights are not those of the configuration.
    """
    model = found.model()
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
        "after": solved(model, tokenizer),
    }
