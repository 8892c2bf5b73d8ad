"""Keep what all running requests have side by side, so that a step is a few sums.

A request that runs owns one row of each array. With hundreds of them, a step that
asked each request in turn would cost more than the model's products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sparrow.serve.scheduler import Request

__all__ = ["Ints", "Plan", "Rows", "spread"]

Ints = NDArray[np.int64]


class Rows:
    """One row for each request that runs.

    Args:
        count: rows.
        max_blocks: of one request.
        block_size: tokens in a block.

    Shapes:
        blocks: [rows, max_blocks]; tokens: [rows, max_blocks · block_size], the text
        and behind it what is guessed; stops: [rows, S], filled up with -1; all others:
        [rows].
    """

    def __init__(self, count: int, max_blocks: int, block_size: int) -> None:
        self.free = list(range(count))[::-1]
        self.block_size = block_size
        self.blocks = np.zeros((count, max_blocks), dtype=np.int64)
        self.tokens = np.zeros((count, max_blocks * block_size), dtype=np.int64)
        self.stops = np.full((count, 1), -1, dtype=np.int64)
        # Tokens of the text, those in the cache, those that its blocks have room for,
        # and those in blocks whose content is noted.
        self.length, self.computed, self.room, self.noted = (
            np.zeros(count, dtype=np.int64) for _array in range(4)
        )
        # Whose row it is, tokens at which the text ends, those found in the cache when
        # it first ran, those guessed behind the text, and alternatives that are asked
        # for: -1 without log-probability.
        self.request, self.longest, self.found, self.proposed, self.alternatives = (
            np.zeros(count, dtype=np.int64) for _array in range(5)
        )
        self.seed = np.zeros(count, dtype=np.uint64)
        self.temperature, self.top_p = (
            np.zeros(count, dtype=np.float32) for _array in range(2)
        )

    def take(self, request: "Request", computed: int) -> int:
        """Give a row to a request that begins to run; it has no blocks yet."""
        row, sampling = self.free.pop(), request.sampling
        text, stops = request.tokens, sorted(request.stops)
        self.tokens[row, : len(text)] = text
        self.length[row] = len(text)
        self.computed[row] = self.noted[row] = computed
        self.room[row] = self.proposed[row] = 0
        if (more := len(stops) - self.stops.shape[1]) > 0:
            self.stops = np.pad(self.stops, ((0, 0), (0, more)), constant_values=-1)
        self.stops[row] = -1
        self.stops[row, : len(stops)] = stops
        self.request[row], self.longest[row] = request.id, request.longest
        self.found[row], self.seed[row] = request.found or 0, request.seed
        wanted = sampling.logprobs
        self.alternatives[row] = -1 if wanted is None else wanted
        self.temperature[row], self.top_p[row] = sampling.temperature, sampling.top_p
        return row

    def text(self, row: int) -> list[int]:
        """The text of a request that runs."""
        text: list[int] = self.tokens[row, : self.length[row]].tolist()
        return text

    def propose(self, row: int, guesses: Sequence[int]) -> None:
        """Lay guesses behind a text, as far as they may be written there."""
        start = int(self.length[row])
        good = guesses[: max(0, int(self.longest[row]) - start - 1)]
        self.tokens[row, start : start + len(good)] = good
        self.proposed[row] = len(good)

    def guesses(self, row: int, count: int) -> list[int]:
        """The first guesses behind a text."""
        start = self.length[row]
        guesses: list[int] = self.tokens[row, start : start + count].tolist()
        return guesses

    def extend(self, row: int, start: int, blocks: Sequence[int]) -> None:
        """Give a request more blocks, behind the `start` that it has."""
        end = start + len(blocks)
        self.blocks[row, start:end] = blocks
        self.room[row] = end * self.block_size

    def advance(self, plan: "Plan", kept: Ints) -> None:
        """Count what a step has read, and the tokens of it that were kept.

        Shapes:
            kept: [B].
        """
        rows = plan.rows
        self.length[rows] += kept
        self.proposed[rows] = 0
        # Who writes has read all but the newest token; failed guesses do not count.
        done = np.where(plan.draws > 0, self.length[rows] - 1, plan.ends)
        self.computed[rows] = done


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who gets what in one step, oldest request first.

    Shapes:
        all [B]: rows; starts, the place of the first token that is read; counts, tokens
        that are read, guesses among them; draws, tokens to be drawn: none while the
        prompt is being read. Properties, one entry a token or a draw: see each.
    """

    requests: "list[Request]"
    rows: Ints
    starts: Ints
    counts: Ints
    draws: Ints

    @property
    def ends(self) -> Ints:
        """The place behind the last token that each reads. [B]."""
        return self.starts + self.counts

    @cached_property
    def firsts(self) -> Ints:
        """Where the first token of each stands in the list of all tokens. [B]."""
        return self.counts.cumsum() - self.counts

    @cached_property
    def begins(self) -> Ints:
        """Where the first draw of each stands in the list of all draws. [B]."""
        return self.draws.cumsum() - self.draws

    @cached_property
    def owners(self) -> Ints:
        """Which of the requests each token belongs to. [N]."""
        return np.repeat(np.arange(len(self.rows)), self.counts)

    @cached_property
    def positions(self) -> Ints:
        """The place of each token in its text. [N]."""
        return spread(self.starts, self.counts)

    @cached_property
    def drawn_from(self) -> Ints:
        """Where the tokens stand behind which one is drawn. [M]."""
        return spread(self.firsts + self.counts - self.draws, self.draws)


def spread(start: Ints, count: Ints) -> Ints:
    """Count on from each start: [5, 9] and [3, 1] give [5, 6, 7, 9]."""
    first = count.cumsum() - count
    return np.arange(count.sum()) + np.repeat(start - first, count)
