"""Draw a request's tokens from numbers of its own, whoever else is in the batch.

A row's random number is a function of its seed and of the place of the token, and of
nothing else. So a request writes the same text alone, in a crowd, after it had to wait,
and with or without speculation.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.model.native_step import Scored

__all__ = ["MOST_LOGPROBS", "Sampling", "draw", "explain", "judge", "uniform"]

MOST_LOGPROBS = 20  # as in OpenAI's API
SEEDS = 2**63


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How one request is to be continued.

    Raises:
        UsageError: a number is out of its range; the sentence names it.
    """

    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    seed: int | None = None  # None: another one for each request
    max_tokens: int = 256
    stop_ids: tuple[int, ...] = ()
    logprobs: int | None = None  # give so many alternatives beside each token

    def __post_init__(self) -> None:
        """Check every number."""
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(
                _(
                    "temperature must be at least 0, got {got}.",
                    got=self.temperature,
                )
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(_("top_p must be in (0, 1], got {got}.", got=self.top_p))
        if self.max_tokens < 1:
            raise UsageError(
                _("max_tokens must be at least 1, got {got}.", got=self.max_tokens)
            )
        if not 0 <= (self.logprobs or 0) <= MOST_LOGPROBS:
            raise UsageError(
                _(
                    "logprobs must be in 0..{most}, got {got}.",
                    most=MOST_LOGPROBS,
                    got=self.logprobs,
                )
            )


PIECE = 256  # tokens that are searched together


def uniform(seed: NDArray[np.uint64], place: NDArray[np.uint64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each seed and place, that looks random.

    Args:
        seed: of the request.
        place: of the token in its text.

    Shapes:
        seed, place: [M]; returns [M].

    Source: the finisher of SplitMix64, Steele et al. 2014, "Fast splittable
    pseudorandom number generators", applied to the seed and then to the place.
    """
    bits = _mix(_mix(seed) + place) >> np.uint64(11)  # as many as a float64 holds
    return bits.astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Let every bit of `x` move every bit of the answer; sums wrap around."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def judge(logits: Tensor) -> Scored:
    """Find the most likely token of each row: the plain twin of `NativeStep.scores`.

    Shapes:
        logits: [M, V].
    """
    scores = logits.float()
    return Scored(scores, likeliest(scores))


def draw(
    scored: Scored, rows: Tensor, temperature: Tensor, top_p: Tensor, uniform: Tensor
) -> Tensor:
    """Draw one token for each of some rows; the others take the most likely one.

    Args:
        scored: scores of every token.
        rows: those that draw.
        temperature: of each of them, above 0.
        top_p: of each: keep the most likely tokens that together reach it.
        uniform: the random number of each.

    Shapes:
        scored: [M, V]; rows, temperature, top_p, uniform: [R]; returns [M].
    """
    scores, tokens = scored
    if len(rows):
        scaled = scores[rows] / temperature[:, None]
        probability = keep_top(scaled.softmax(dim=-1), top_p)
        reached = probability.cumsum(dim=-1)
        # Times the last sum, which rounding leaves a little off one.
        wanted = uniform[:, None].to(reached.dtype) * reached[:, -1:]
        drawn = torch.searchsorted(reached, wanted, right=True)[:, 0]
        tokens = tokens.index_copy(0, rows, drawn.clamp(max=scores.shape[-1] - 1))
    return tokens


def likeliest(scores: Tensor) -> Tensor:
    """The first of the highest scores of each row: a quick `argmax`.

    PyTorch finds the highest number itself much faster than its place, so it is found
    in pieces first, and only one piece of each row is searched for the place.

    Shapes:
        scores: [M, V]; returns [M].
    """
    if scores.shape[-1] % PIECE:
        return scores.argmax(dim=-1)
    pieces = scores.unflatten(-1, (-1, PIECE))
    best = pieces.amax(dim=-1).argmax(dim=-1)  # of the pieces
    place = pieces[torch.arange(len(scores), device=scores.device), best].argmax(dim=-1)
    return best * PIECE + place


def keep_top(probability: Tensor, top_p: Tensor) -> Tensor:
    """Set to zero what does not belong to the most likely tokens.

    Shapes:
        probability: [M, V]; top_p: [M]; returns [M, V], which sums to less than one.

    Source: nucleus sampling, Holtzman et al., arXiv:1904.09751.
    """
    rows = (top_p < 1).nonzero()[:, 0]
    if not len(rows):
        return probability
    ordered, index = probability[rows].sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    ordered = ordered.masked_fill(before >= top_p[rows, None], 0)
    kept = torch.zeros_like(ordered).scatter(-1, index, ordered)
    return probability.index_copy(0, rows, kept)


def explain(
    scores: Tensor, tokens: Tensor, count: int
) -> tuple[list[float], list[list[tuple[int, float]]]]:
    """How likely each token was, and which others were the most likely there.

    Args:
        scores: of every token.
        tokens: those that were drawn.
        count: how many of the most likely ones are told.

    Returns:
        Natural logarithms of the probabilities at temperature 1; and the most likely
        tokens of each row, with theirs.

    Shapes:
        scores: [M, V]; tokens: [M].
    """
    every = scores.float().log_softmax(dim=-1)
    own: list[float] = every.gather(-1, tokens[:, None])[:, 0].tolist()
    logprobs, others = every.topk(count, dim=-1)
    top = [
        list(zip(*row, strict=True))
        for row in zip(others.tolist(), logprobs.tolist(), strict=True)
    ]
    return own, top
