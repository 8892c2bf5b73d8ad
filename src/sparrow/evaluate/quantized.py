"""What fewer bits cost: bytes, perplexity and right answers, each beside the original.

Both models read the same text and answer the same questions, so only the changes
count, and each change has its paired interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.evaluate import intervals, paired, run, texts
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.run import Answers
from sparrow.evaluate.texts import Text
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.verify import Problem

__all__ = ["Measured", "Row", "compare", "measure", "stored_bytes", "verdict"]

BATCH = 8  # rows at a time


@dataclass(frozen=True)
class Measured:
    """One model: its size, how well it reads, and what it answers."""

    bytes: int
    losses: Tensor  # nats a token, one value a row of text, [R]
    answers: Answers | None


@dataclass(frozen=True)
class Row:
    """A quantized model beside the original: one line of the report.

    Changes are relative for perplexity, and differences for the share of right answers.
    """

    scheme: str
    bytes: int
    bits_a_weight: float
    perplexity: float
    perplexity_change: Interval
    accuracy: Interval | None
    accuracy_change: Interval | None

    @property
    def differs(self) -> bool:
        """Whether any change is larger than chance explains."""
        changes = (self.perplexity_change, self.accuracy_change)
        return any(each and not each.low <= 0 <= each.high for each in changes)


def stored_bytes(model: Sparrow) -> int:
    """The bytes of all tensors; a tensor with two names is counted once."""
    found = {each.data_ptr(): each for each in model.state_dict().values()}
    return sum(each.numel() * each.element_size() for each in found.values())


@torch.inference_mode()
def measure(
    model: Sparrow,
    tokenizer: Tokenizer,
    text: Text,
    task: Sequence[Problem] = (),
) -> Measured:
    """Let one model read the text and answer the questions, greedily."""
    losses = []
    for ids, counts in zip(
        text.ids.split(BATCH), text.counts.split(BATCH), strict=True
    ):
        rows, seen = ids.to(model.device), counts.to(model.device)[:, 1:]
        logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.mT.float(), rows[:, 1:], reduction="none")
        mean = (loss.double() * seen).sum(dim=1) / seen.sum(dim=1)
        losses.append(mean.cpu())
    answers = None
    if task:
        answers = run.ask(model, tokenizer, task, max_new_tokens=texts.ANSWER)
    return Measured(stored_bytes(model), torch.cat(losses), answers)


def compare(scheme: str, made: Measured, original: Measured, weights: int) -> Row:
    """One line of the report.

    Args:
        scheme: how the model was quantized.
        made: the quantized model.
        original: the one it was made of, on the same text and questions.
        weights: how many numbers the original has.
    """
    draw = generator(0)
    loss = paired.paired_difference(made.losses, original.losses, generator=draw)
    estimate, low, high = map(math.expm1, (loss.estimate, loss.low, loss.high))
    change = Interval(estimate, low, high, loss.n)
    accuracy = difference = None
    if made.answers is not None and original.answers is not None:
        right, before = (
            each.rewards[:, 0] == 1 for each in (made.answers, original.answers)
        )
        accuracy = intervals.wilson_interval(int(right.sum()), len(right))
        difference = paired.paired_difference(
            right.double(), before.double(), generator=draw
        )
    return Row(
        scheme,
        made.bytes,
        8 * made.bytes / weights,
        math.exp(float(made.losses.mean())),
        change,
        accuracy,
        difference,
    )


def verdict(row: Row) -> str:
    """In words: whether this model can be told from the original."""
    change, n = row.perplexity_change, row.perplexity_change.n
    read = _(
        "perplexity {change:+.2%} (95 %: {low:+.2%} to {high:+.2%}, n = {n})",
        change=change.estimate,
        low=change.low,
        high=change.high,
        n=n,
    )
    if (right := row.accuracy_change) is not None:
        read = _(
            "{read}; right answers {change:+.1%} (95 %: {low:+.1%} to {high:+.1%}, "
            "n = {n})",
            read=read,
            change=right.estimate,
            low=right.low,
            high=right.high,
            n=right.n,
        )
    if row.differs:
        return _("{scheme} differs from fp32: {read}.", scheme=row.scheme, read=read)
    return _(
        "{scheme} cannot be told from fp32 here: {read}.", scheme=row.scheme, read=read
    )
