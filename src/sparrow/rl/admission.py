"""What lab 06 leaves behind: a cold start, which stands before the gate.

Whoever grades lets the model answer again, instead of believing a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparrow import checkpoints
from sparrow.evaluate.run import Answers
from sparrow.model import Sparrow
from sparrow.rl import gate
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train import handed_in, metrics

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


@dataclass(frozen=True, kw_only=True)
class Evidence(handed_in.HandedIn):
    """The learner's model, how it came to be, and what the learner says of it."""

    losses: list[float]  # of every step


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
    losses = [each.loss for each in metrics.read_kind(run, metrics.Step)]
    return handed_in.leave(path, run=run, claim=claim, more={"losses": losses})


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    with handed_in.damage_in_words():
        fields, told = handed_in.fields(data)
        return Evidence(**fields, losses=[float(each) for each in told["losses"]])


def refuse_shipped(found: Evidence) -> None:
    """The models that travel with the package are nobody's own work.

    Raises:
        CheckpointError: it is, or nearly is, such a model.
    """
    handed_in.refuse_shipped(found.weights, before=BASE, hardly=HARDLY, alike=ALIKE)


def measured(found: Evidence) -> gate.Gate:
    """What the gate finds: everything asked again, now, in the words of the base.

    A tokenizer from the file could turn any tokens into right answers.

    Raises:
        CheckpointError: the weights are not those of the configuration.
    """
    return gate.measure(found.model(), Tokenizer(checkpoints.find(BASE)), RULES)
