"""What a step tells: sums that processes can add up, and the means made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow.evaluate.run import Answers
from sparrow.rl import rollout
from sparrow.rl.metrics import Rollouts
from sparrow.rl.rollout import Rollout

__all__ = ["Learned", "line", "sums"]


@dataclass
class Learned:
    """What learning found; of parts of a batch, the sum of all parts."""

    loss: float = 0.0
    kl: float = 0.0
    clip_low: float = 0.0
    clip_high: float = 0.0
    gradient_norm: float = 0.0


def sums(
    answers: Answers,
    earned: Tensor,
    drawn: int,
    kept: Sequence[Rollout],
    learned: Learned,
) -> Tensor:
    """All that one process has to tell, as numbers to be added up; see `line`."""
    scores = [each for row in answers.scores for each in row]
    written = [each for row in answers.completions for each in row]
    tokens = float(answers.lengths.sum())
    return torch.tensor(
        [
            len(written),
            float(earned.sum()),
            sum(each.correctness for each in scores),
            sum(each.format for each in scores),
            sum(each.legality for each in scores),
            tokens,
            float(answers.backtracks.sum()),
            sum(not each.stopped for each in written),
            answers.surprise * tokens,
            float((~rollout.with_signal(earned)).sum()),
            drawn,
            len(kept),
            sum(len(each) for each in kept),
            learned.loss,
            learned.kl,
            learned.clip_low,
            learned.clip_high,
        ],
        dtype=torch.float64,
    )


def line(
    total: Sequence[float],
    *,
    step: int,
    questions: int,
    gradient_norm: float,
    learning_rate: float,
    seconds: float,
    step_seconds: float,
) -> Rollouts:
    """The line of a step, from the sums over all processes."""
    n, reward, correctness, format_, legality, tokens, backtracks = total[:7]
    unfinished, surprise, empty, drawn, kept, read, loss, kl, low, high = total[7:]
    return Rollouts(
        step=step,
        reward=reward / n,
        correctness=correctness / n,
        format=format_ / n,
        legality=legality / n,
        length=tokens / n,
        backtracks=backtracks / n,
        unfinished_frac=unfinished / n,
        entropy=surprise / max(tokens, 1),
        degenerate_frac=empty / questions,
        answers=int(drawn),
        learned=int(kept),
        kl=kl,
        clip_low_frac=low,
        clip_high_frac=high,
        loss=loss,
        gradient_norm=gradient_norm,
        learning_rate=learning_rate,
        seconds=seconds,
        tokens_per_s=(tokens + read) / step_seconds,
    )
