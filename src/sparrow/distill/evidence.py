"""What lab 08 leaves behind: a student, its bill, and what its learner claims of it.

Whoever grades examines the student again, instead of believing a number.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparrow import checkpoints
from sparrow.distill import budget, examination
from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.train import handed_in
from sparrow.train.handed_in import opened

__all__ = [
    "BEFORE",
    "FILE",
    "Evidence",
    "leave",
    "measured",
    "opened",
    "read",
    "refuse_shipped",
]

FILE = "08_distillation.safetensors"
BEFORE = "pico-cold-start"  # the model that both ways start from
HARDLY = 1e-4  # of its size: less than a few steps of training
ALIKE = 0.8  # cosine between two ways from BEFORE; above, it is the same run


@dataclass(frozen=True, kw_only=True)
class Evidence(handed_in.HandedIn):
    """The learner's student, how it came to be, and what the learner says of it."""

    work: dict[str, Any]  # tokens that were written, and learned from


def leave(path: Path, *, run: Path, claim: Mapping[str, Any]) -> Path:
    """Write the evidence of a finished run.

    Args:
        path: the file to write.
        run: the run's folder.
        claim: what the learner found: `difference`, `low` and `high`, as shares.

    Raises:
        CheckpointError: the run has not ended yet.
    """
    work = asdict(budget.of_run(run, 0))
    return handed_in.leave(path, run=run, claim=claim, more={"work": work})


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    with handed_in.damage_in_words():
        fields, told = handed_in.fields(data)
        return Evidence(**fields, work=dict(told["work"]))


def refuse_shipped(found: Evidence) -> None:
    """The models that travel with the package are nobody's own work.

    Raises:
        CheckpointError: it is, or nearly is, such a model.
    """
    handed_in.refuse_shipped(found.weights, before=BEFORE, hardly=HARDLY, alike=ALIKE)


def measured(found: Evidence) -> dict[str, list[float]]:
    """The share of right answers, before and after: everything asked again, now.

    Teaching changes no tokenizer, so nobody has to hand one in.

    Raises:
        CheckpointError: the weights are not those of the configuration.
    """
    first, tokenizer = opened(checkpoints.find(BEFORE))
    if not handed_in.same_shapes(found.weights, first.state_dict()):
        raise CheckpointError(
            _("The model has another shape than {name}: begin there.", name=BEFORE)
        )
    models = {"before": first, "after": found.model()}
    return {name: examination.shares(each, tokenizer) for name, each in models.items()}
