"""What reinforcement learning tells as it goes: one line a step, one an examination."""

from dataclasses import dataclass
from typing import ClassVar

from sparrow.train.metrics import Line

__all__ = ["Exam", "Rollouts"]


@dataclass(frozen=True, kw_only=True)
class Rollouts(Line):
    """One step: means over the answers of all processes, before groups are left out."""

    kind: ClassVar[str] = "rollouts"

    reward: float  # what was asked for; in a control, not what is right
    correctness: float
    format: float
    legality: float
    length: float  # tokens an answer
    backtracks: float  # tries that were given up, an answer
    unfinished_frac: float  # answers without an end
    entropy: float  # nats a token, estimated from the tokens drawn
    degenerate_frac: float  # groups whose answers all earned the same
    answers: int  # drawn, those of groups without signal too
    learned: int  # answers that were learned from
    kl: float  # to the reference, nats a token; 0 without one
    clip_low_frac: float
    clip_high_frac: float
    loss: float
    gradient_norm: float
    learning_rate: float
    seconds: float  # of training so far; pauses do not count
    tokens_per_s: float  # written and learned


@dataclass(frozen=True, kw_only=True)
class Exam(Line):
    """Greedy answers to held-out problems; `low` and `high` are Wilson's 95 %."""

    kind: ClassVar[str] = "exam"

    pass1: float
    low: float
    high: float
    problems: int
    length: float
    backtracks: float
    seconds: float  # of training until then
