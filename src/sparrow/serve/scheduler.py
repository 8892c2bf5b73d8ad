"""Decide at every step who runs: requests come and go between any two tokens.

All that run share one budget of tokens a step. A request that writes needs one token;
a prompt is read in chunks that fit, so that nobody's text waits for another's prompt.
When the cache is full, the youngest request gives its blocks back and starts again
later; what it has written is read once more.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sparrow.serve.blocks import BlockPool, Content
from sparrow.serve.rows import Ints, Plan, Rows
from sparrow.serve.sampling import Sampling
from sparrow.serve.speculate import Echo

__all__ = ["Finished", "Request", "Scheduler", "share_budget"]

Finished = Literal["stop", "length"]


def share_budget(needs: Sequence[int], budget: int) -> list[int]:
    """How many tokens of each running request go into this step.

    Args:
        needs: tokens that each has still to read, oldest request first; 1 for those
            that write.
        budget: tokens in one step.

    Returns:
        One number a request, from 0 to its need; their sum is at most the budget.

    Source: Orca (Yu et al., OSDI 2022) for requests that come and go at every step;
    chunked prefill: Sarathi-Serve, arXiv:2403.02310.
    """
    if sum(needs) <= budget:  # nobody has to share
        return list(needs)
    counts = [0] * len(needs)
    # 1. Those that write go first: nobody's text waits for a prompt of somebody else.
    # 2. Then the prompts, oldest first.
    order = sorted(range(len(needs)), key=lambda each: needs[each] > 1)
    for each in order:
        # 3. The first one that does not fit gets a chunk, and goes on in the next step.
        counts[each] = min(needs[each], budget)
        budget -= counts[each]
    return counts


@dataclass(eq=False, kw_only=True, slots=True)
class Request:
    """One text that is being read or written."""

    id: int
    tokens: list[int]  # the text when it last began to wait; `Rows` has what is new
    prompt_tokens: int
    longest: int  # tokens at which it ends
    sampling: Sampling
    seed: int
    stops: frozenset[int]
    row: int | None = None  # of `Rows` while it runs
    found: int | None = None  # tokens that were in the cache when it first ran
    blocks: list[int] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)  # of its full blocks
    echo: Echo = field(default_factory=Echo)


class Scheduler:
    """Who waits, who runs, and which blocks each has.

    Args:
        pool: the blocks.
        max_batch: requests that run at the same time.
        token_budget: tokens in one step.
        max_blocks: of one request.
    """

    def __init__(
        self, pool: BlockPool, *, max_batch: int, token_budget: int, max_blocks: int
    ) -> None:
        self.pool, self.token_budget = pool, token_budget
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []  # oldest first
        self.rows = Rows(max_batch, max_blocks, pool.block_size)
        self.preemptions = self.cached_tokens = 0
        self._order: Ints | None = None  # rows of those that run; none: look again

    def plan(self) -> Plan:
        """Give each request its part of the next step."""
        self._admit()
        requests, table = list(self.running), self.rows
        if self._order is None:
            self._order = np.array([each.row for each in requests], dtype=np.int64)
        rows = self._order
        starts = table.computed[rows]
        needs = table.length[rows] - starts
        shared = share_budget(needs.tolist(), self.token_budget)
        counts = np.array(shared, dtype=np.int64)
        draws = ((counts == needs) & (counts > 0)).astype(np.int64)
        guesses = self._guesses(rows, draws, self.token_budget - sum(shared))
        counts, draws = counts + guesses, draws + guesses
        ends = starts + counts
        for place in (ends > table.room[rows]).nonzero()[0].tolist():
            if requests[place].row is not None:
                self._make_room(requests[place], int(ends[place]))
        # Those that lost their blocks are out, and those that got nothing.
        going = counts > 0
        if len(self.running) < len(requests):
            going &= np.array([each.row is not None for each in requests])
        if not going.all():
            requests = [requests[place] for place in going.nonzero()[0].tolist()]
            rows, starts, counts, draws = (
                each[going] for each in (rows, starts, counts, draws)
            )
        return Plan(
            requests=requests, rows=rows, starts=starts, counts=counts, draws=draws
        )

    def _guesses(self, rows: Ints, draws: Ints, left: int) -> Ints:
        """How many guesses of each are judged, oldest request first. [B]."""
        wanted = np.where(draws > 0, self.rows.proposed[rows], 0)
        before = wanted.cumsum() - wanted
        return np.minimum(wanted, np.maximum(left - before, 0))

    def _admit(self) -> None:
        """Let those that wait run, first come, first served, while there is room."""
        if not self.waiting:
            return
        table = self.rows
        used = sum(
            int(table.length[each.row] - table.computed[each.row])
            for each in self.running
        )
        while self.waiting and table.free and used < self.token_budget:
            request = self.waiting[0]
            # The last token is never found: its scores are needed.
            found = self.pool.longest_prefix(request.tokens[:-1])
            needed = self.pool.blocks_for(len(request.tokens)) - len(found)
            resting = sum(self.pool.readers[block] == 0 for block in found)
            if needed + resting > self.pool.free_blocks:
                return
            self.waiting.popleft()
            self.pool.share(found)
            computed = len(found) * self.pool.block_size
            if request.found is None:
                request.found = computed
            request.row = table.take(request, computed)
            self.cached_tokens += computed
            request.contents = [self._content(block) for block in found]
            self._extend(request, found + self.pool.allocate(needed))
            self.running.append(request)
            self._order = None
            used += len(request.tokens) - computed

    def _content(self, block: int) -> Content:
        content = self.pool.contents[block]
        assert content is not None, "a block that is found holds something"
        return content

    def _make_room(self, request: Request, tokens: int) -> None:
        """Find blocks for so many tokens; the youngest may lose theirs for it."""
        missing = self.pool.blocks_for(tokens) - len(request.blocks)
        while missing > self.pool.free_blocks:
            victim = self.running[-1]
            self.preempt(victim)
            if victim is request:
                return
        self._extend(request, self.pool.allocate(missing))

    def _extend(self, request: Request, blocks: list[int]) -> None:
        assert request.row is not None, "only who runs has blocks"
        self.rows.extend(request.row, len(request.blocks), blocks)
        request.blocks += blocks

    def preempt(self, request: Request) -> None:
        """Send a running request back to wait; what it wrote will be read again."""
        assert request.row is not None, "only who runs is sent back"
        request.tokens = self.rows.text(request.row)
        self.leave(request)
        self.waiting.appendleft(request)
        self.preemptions += 1

    def leave(self, request: Request) -> None:
        """Take back all that a request has, whether it runs or waits."""
        if request.row is None:
            self.waiting.remove(request)
            return
        self.running.remove(request)
        self._order = None
        self.pool.free(request.blocks)
        self.rows.free.append(request.row)
        request.row, request.blocks, request.contents = None, [], []

    def remember(self, plan: Plan) -> None:
        """Note what each block holds that a step has filled."""
        if not self.pool.prefix_cache:
            return
        table, size = self.rows, self.pool.block_size
        is_full = table.computed[plan.rows] - table.noted[plan.rows] >= size
        for place in is_full.nonzero()[0].tolist():
            request = plan.requests[place]
            for number in range(
                len(request.contents), table.computed[request.row] // size
            ):
                before = request.contents[-1] if request.contents else None
                own = slice(number * size, (number + 1) * size)
                piece = table.tokens[request.row, own].tolist()
                block = request.blocks[number]
                request.contents.append(self.pool.remember(block, before, piece))
            table.noted[request.row] = len(request.contents) * size
