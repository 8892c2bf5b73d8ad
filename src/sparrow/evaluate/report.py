"""What is said after an evaluation: each figure with its interval and its n."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.evaluate import intervals, paired, passk
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.paired import McNemar
from sparrow.evaluate.resample import resampled_mean
from sparrow.evaluate.run import Answers
from sparrow.language import _

__all__ = ["Comparison", "Figure", "compare", "figures", "records"]


@dataclass(frozen=True)
class Figure:
    """One measured quantity."""

    name: str  # as a program knows it: pass@8, backtracks
    about: str  # as a person reads it
    interval: Interval
    is_share: bool = True  # in 0..1


@dataclass(frozen=True)
class Comparison:
    """How much better the first model answers the same questions than the second."""

    difference: Interval  # of mean reward, first - second
    mcnemar: McNemar | None  # only where each question was answered once


def figures(answers: Answers, generator: torch.Generator) -> list[Figure]:
    """Everything that is measured, each with the bounds that enclose the truth.

    One answer a question: Wilson. Several: the questions are drawn again, as answers to
    one question are no independent trials.

    Args:
        answers: what was written; rewards are 0 or 1.
        generator: draws the questions.
    """
    rewards = answers.rewards
    samples = rewards.shape[1]
    right = [int(each) for each in (rewards == 1).sum(dim=1)]
    told = [
        Figure(
            f"pass@{k}",
            _("a right answer in {k} tries", k=k) if k > 1 else _("right answers"),
            _share(
                torch.tensor([[passk.pass_at_k(samples, c, k)] for c in right])
                if k > 1
                else rewards,
                generator,
            ),
        )
        for k in _tries(samples)
    ]
    for name, about in (
        ("format", _("the format is kept")),
        ("legality", _("the rules are kept")),
    ):
        parts = [[getattr(each, name) for each in row] for row in answers.scores]
        told.append(Figure(name, about, _share(torch.tensor(parts), generator)))
    length = _mean(answers.lengths, generator)
    told.append(Figure("length", _("tokens an answer"), length, is_share=False))
    if {each.family for each in answers.problems} == {"countdown"}:
        given_up = _mean(answers.backtracks, generator)
        told.append(
            Figure(
                "backtracks", _("tries given up an answer"), given_up, is_share=False
            )
        )
    return told


def compare(first: Answers, second: Answers, generator: torch.Generator) -> Comparison:
    """The same questions, two models.

    Args:
        first: the answers of the one.
        second: those of the other, as many to each question.
        generator: draws the questions.

    Raises:
        UsageError: they were not asked the same.
    """
    asked = [[each.question for each in both.problems] for both in (first, second)]
    if asked[0] != asked[1] or first.rewards.shape != second.rewards.shape:
        raise UsageError(
            _(
                "only answers to the same questions, as many to each, can be compared: "
                "ask both models with the same settings."
            )
        )
    means = [each.rewards.double().mean(dim=1) for each in (first, second)]
    once = first.rewards.shape[1] == 1
    return Comparison(
        paired.paired_difference(*means, generator=generator),
        paired.mcnemar(*means) if once else None,
    )


def records(answers: Answers) -> list[dict[str, object]]:
    """All that was asked and written, for a file; one record a completion."""
    return [
        {
            "family": problem.family,
            "question": problem.question,
            "completion": text,
            "tokens": len(written.tokens),
            **asdict(scored),
        }
        for problem, texts, row, completions in zip(
            answers.problems,
            answers.texts,
            answers.scores,
            answers.completions,
            strict=True,
        )
        for text, scored, written in zip(texts, row, completions, strict=True)
    ]


def _tries(samples: int) -> Sequence[int]:
    """1, 2, 4, … up to the number of samples, and that number."""
    powers = [2**i for i in range(samples.bit_length()) if 2**i < samples]
    return [*powers, samples]


def _share(values: Tensor, generator: torch.Generator) -> Interval:
    """A share of questions, or a mean of such shares; [Q, K]."""
    values = values.double()
    if values.shape[1] == 1 and bool((values * (1 - values) == 0).all()):
        return intervals.wilson_interval(int(values.sum()), len(values))
    return resampled_mean(values.mean(dim=1), (0.0, 1.0), generator=generator)


def _mean(values: Tensor, generator: torch.Generator) -> Interval:
    """A mean over questions; [Q, K]."""
    means = values.double().mean(dim=1)
    ends = (float(means.min()), float(means.max()))
    return resampled_mean(means, ends, generator=generator)
