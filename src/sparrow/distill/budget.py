"""What a run costs in sums: counted, so that no clock and no machine decides."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparrow.config import Config
from sparrow.cost.training import active_parameters
from sparrow.distill.sampler import LESSONS

__all__ = ["Work", "flops", "of_run", "seconds_of", "steps_within"]

WRITE, LEARN = 2, 6  # sums for each weight and token


@dataclass(frozen=True, kw_only=True)
class Work:
    """Tokens that models wrote, and tokens that a model learned from."""

    written: int
    learned: int


def flops(config: Config, work: Work) -> float:
    """The sums of some work, counted as in `sparrow.cost.bill.training_effort`.

    Modules that predict further than the next token are left out: none is used here.
    """
    weights = active_parameters(config.replace(num_nextn_predict_layers=0))
    return float(weights * (WRITE * work.written + LEARN * work.learned))


def steps_within(budget: Work, *, written: int, tokens_per_step: int) -> int:
    """How many steps a student may learn, so that all costs as much as `budget`.

    Both are models of one shape: a weight costs 2 sums for each token that is written,
    and 6 for each token that is learned from.

    Args:
        budget: the work of the other way.
        written: tokens that the teacher wrote for the student.
        tokens_per_step: those that the student learns from in a step.

    Returns:
        Whole steps; 0 if the teacher's answers alone cost more.
    """
    left = WRITE * (budget.written - written) + LEARN * budget.learned
    return max(0, left // (LEARN * tokens_per_step))


def of_run(folder: Path, prompt_tokens: float) -> Work:
    """The work of a run that was taught, or that learned from reward.

    A teacher's own training is in no student's work.

    Args:
        folder: where the run was kept.
        prompt_tokens: of a question, in the mean.
    """
    steps = [each for each in _told(folder) if each["kind"] == "rollouts"]
    if steps:
        written = sum(each["answers"] * each["length"] for each in steps)
        learned = sum(
            each["learned"] * (each["length"] + prompt_tokens) for each in steps
        )
        return Work(written=round(written), learned=round(learned))
    told = [each["tokens"] for each in _told(folder) if each["kind"] == "step"]
    return Work(
        written=int(_of_teacher(folder).get("tokens", 0)), learned=max(told, default=0)
    )


def seconds_of(folder: Path) -> float:
    """How long a run took by the clock, with the answers of its teacher."""
    learning = max((each.get("seconds", 0.0) for each in _told(folder)), default=0.0)
    return round(float(_of_teacher(folder).get("seconds", 0.0)) + learning, 1)


def _told(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    text = path.read_text("utf-8") if path.exists() else ""
    return map(json.loads, text.splitlines())


def _of_teacher(folder: Path) -> dict[str, Any]:
    """What is said above the lessons of a run; nothing if nobody taught it."""
    path = folder / LESSONS
    return json.loads(path.read_text("utf-8").splitlines()[0]) if path.exists() else {}
