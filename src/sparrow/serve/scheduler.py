"""Decide at every step who runs: requests come and go between any two tokens.

All that run share one budget of tokens a step. A request that writes needs one token;
a prompt is read in chunks that fit, so that nobody's text waits for another's prompt.
When the cache is full, the youngest request gives its blocks back and starts again
later; what it has written is read once more.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sparrow.serve.blocks import BlockPool, Content
from sparrow.serve.sampling import Sampling
from sparrow.serve.speculate import Echo

__all__ = ["Request", "Scheduler", "Turn", "share_budget"]


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
    counts = [0] * len(needs)
    # 1. Those that write go first: nobody's text waits for a prompt of somebody else.
    # 2. Then the prompts, oldest first.
    order = sorted(range(len(needs)), key=lambda each: needs[each] > 1)
    for each in order:
        # 3. The last one that fits gets a chunk, and goes on in the next step.
        counts[each] = min(needs[each], budget)
        budget -= counts[each]
    return counts


@dataclass(eq=False, kw_only=True, slots=True)
class Request:
    """One text that is being read or written."""

    id: int
    tokens: list[int]  # the prompt, then what was written
    prompt_tokens: int
    longest: int  # tokens at which it ends
    sampling: Sampling
    seed: int
    stops: frozenset[int]
    row: int | None = None  # its place in the tables while it runs
    computed: int = 0  # tokens whose rows are in the cache
    found: int | None = None  # those that were there when it first ran
    blocks: list[int] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)  # of its full blocks
    proposed: list[int] = field(default_factory=list)
    echo: Echo = field(default_factory=Echo)

    @property
    def needs(self) -> int:
        """Tokens that are not in the cache yet."""
        return len(self.tokens) - self.computed


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What a request gets in one step."""

    request: Request
    row: int  # of the table of blocks
    start: int  # the place of its first token that is read now
    count: int  # tokens that are read
    proposed: list[int]  # guesses behind its last token
    draws: int  # tokens to be drawn: none while the prompt is being read


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
        self.rows = list(range(max_batch))[::-1]  # of the table that nobody has
        self.table = np.zeros((max_batch, max_blocks), dtype=np.int64)
        self.preemptions = self.cached_tokens = 0

    def plan(self) -> list[Turn]:
        """Give each request its part of the next step."""
        self._admit()
        counts = share_budget([each.needs for each in self.running], self.token_budget)
        left = self.token_budget - sum(counts)
        turns = []
        for request, count in zip(list(self.running), counts, strict=True):
            if not count or request.row is None:
                continue
            proposed: list[int] = []
            if request.proposed and count == request.needs:
                room = request.longest - len(request.tokens) - 1
                proposed = request.proposed[: max(0, min(left, room))]
                left -= len(proposed)
            if self._make_room(request, request.computed + count + len(proposed)):
                draws = 1 + len(proposed) if count == request.needs else 0
                turns.append(
                    Turn(
                        request=request,
                        row=request.row,
                        start=request.computed,
                        count=count,
                        proposed=proposed,
                        draws=draws,
                    )
                )
        return turns

    def _admit(self) -> None:
        """Let those that wait run, first come, first served, while there is room."""
        used = sum(each.needs for each in self.running)
        while self.waiting and self.rows and used < self.token_budget:
            request = self.waiting[0]
            # The last token is never found: its scores are needed.
            found = self.pool.longest_prefix(request.tokens[:-1])
            needed = self.pool.blocks_for(len(request.tokens)) - len(found)
            resting = sum(self.pool.readers[block] == 0 for block in found)
            if needed + resting > self.pool.free_blocks:
                return
            self.waiting.popleft()
            self.pool.share(found)
            request.row = self.rows.pop()
            request.computed = len(found) * self.pool.block_size
            self.cached_tokens += request.computed
            if request.found is None:
                request.found = request.computed
            request.contents = [self._content(block) for block in found]
            self._extend(request, found)
            self._extend(request, self.pool.allocate(needed))
            self.running.append(request)
            used += request.needs

    def _content(self, block: int) -> Content:
        content = self.pool.contents[block]
        assert content is not None, "a block that is found holds something"
        return content

    def _make_room(self, request: Request, tokens: int) -> bool:
        """Find blocks for so many tokens; whether the request may run."""
        if tokens <= len(request.blocks) * self.pool.block_size:
            return True
        missing = self.pool.blocks_for(tokens) - len(request.blocks)
        while missing > self.pool.free_blocks:
            victim = self.running[-1]
            self.preempt(victim)
            if victim is request:
                return False
        self._extend(request, self.pool.allocate(missing))
        return True

    def _extend(self, request: Request, blocks: list[int]) -> None:
        start = len(request.blocks)
        request.blocks += blocks
        self.table[request.row, start : len(request.blocks)] = blocks

    def preempt(self, request: Request) -> None:
        """Send a running request back to wait; what it wrote will be read again."""
        self.leave(request)
        self.waiting.appendleft(request)
        self.preemptions += 1

    def leave(self, request: Request) -> None:
        """Take back all that a request has, whether it runs or waits."""
        if request.row is None:
            self.waiting.remove(request)
            return
        self.running.remove(request)
        self.pool.free(request.blocks)
        self.rows.append(request.row)
        request.row, request.blocks, request.contents = None, [], []
        request.computed, request.proposed = 0, []

    def remember(self, request: Request) -> None:
        """Note what each block holds that has become full."""
        size = self.pool.block_size
        while (end := (len(request.contents) + 1) * size) <= request.computed:
            before = request.contents[-1] if request.contents else None
            block = request.blocks[len(request.contents)]
            piece = request.tokens[end - size : end]
            request.contents.append(self.pool.remember(block, before, piece))
