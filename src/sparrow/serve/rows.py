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

from sparrow.serve.sampling import Sampling

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
        and behind it what is guessed; all others: [rows].
    """

    def __init__(self, count: int, max_blocks: int, block_size: int) -> None:
        self.free = list(range(count))[::-1]
        self.block_size = block_size
        self.blocks = np.zeros((count, max_blocks), dtype=np.int64)
        self.tokens = np.zeros((count, max_blocks * block_size), dtype=np.int64)
        # Tokens of the text, those in the cache, those that its blocks have room for,
        # and those in blocks whose content is noted.
        self.length, self.computed, self.room, self.noted = (
            np.zeros(count, dtype=np.int64) for _array in range(4)
        )
        self.seed = np.zeros(count, dtype=np.uint64)
        self.temperature, self.top_p = (
            np.zeros(count, dtype=np.float32) for _array in range(2)
        )

    def take(
        self, text: Sequence[int], computed: int, sampling: Sampling, seed: int
    ) -> int:
        """Give a row to a request that begins to run; it has no blocks yet."""
        row = self.free.pop()
        self.tokens[row, : len(text)] = text
        self.length[row] = len(text)
        self.computed[row] = self.noted[row] = computed
        self.room[row] = 0
        self.seed[row] = seed
        self.temperature[row], self.top_p[row] = sampling.temperature, sampling.top_p
        return row

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
