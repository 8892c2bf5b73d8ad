"""Serve many requests with one model: everybody's next token in the same step.

    submit -> waiting -> running -> finished
                 ^__________|  when the cache is full

The engine knows token ids only, and one thread drives it.
"""

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np
import torch

from sparrow.errors import ConfigError, PromptError, QueueFull
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.model.native_step import Scored
from sparrow.serve import sampling as samplers
from sparrow.serve import speculate
from sparrow.serve.blocks import BlockPool
from sparrow.serve.rows import Ints, Plan
from sparrow.serve.runner import Batch, Runner
from sparrow.serve.sampling import SEEDS, Sampling
from sparrow.serve.scheduler import Finished, Request, Scheduler

__all__ = ["Engine", "EngineSettings", "EngineStats", "Output"]

Speculation = Literal["none", "ngram", "mtp"]


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How much room and how much work a step the engine has.

    Raises:
        ConfigError: a number is out of its range; the sentence names it.
    """

    block_size: int = 16  # tokens in a block of the cache
    blocks: int = 1024
    max_batch: int = 256  # requests that run at the same time
    token_budget: int = 1024  # tokens in one step, over all requests
    max_waiting: int = 1024
    speculation: Speculation = "none"
    proposals: int = 3  # tokens that n-gram speculation proposes at most
    prefix_cache: bool = True

    def __post_init__(self) -> None:
        """Check every number."""
        positive = ("block_size", "blocks", "max_batch", "token_budget", "proposals")
        for name, low in {**dict.fromkeys(positive, 1), "max_waiting": 0}.items():
            if (got := getattr(self, name)) < low:
                raise ConfigError(
                    _(
                        "{name} must be at least {low}, got {got}.",
                        name=name,
                        low=low,
                        got=got,
                    )
                )
        known = ("none", "ngram", "mtp")
        if self.speculation not in known:
            raise ConfigError(
                _(
                    '{name} must be one of {known}; got "{got}".',
                    name="speculation",
                    known=", ".join(known),
                    got=self.speculation,
                )
            )


@dataclass(kw_only=True, slots=True)  # frozen ones take three times as long to make
class Output:
    """What one request wrote in one step.

    `tokens` ends with the stop token, if one ended it. `logprobs` are natural
    logarithms at temperature 1. `top` has the most likely tokens at each place, if the
    request asked for them. `cached` tokens of its prompt were in the cache.
    """

    request: int
    tokens: list[int]
    logprobs: list[float]
    top: list[list[tuple[int, float]]] | None = None
    finished: Finished | None = None
    cached: int = 0


@dataclass(frozen=True, kw_only=True)
class EngineStats:
    """Where the engine stands now, and what it has done since it was made."""

    waiting: int
    running: int
    blocks_total: int
    blocks_used: int
    blocks_cached: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    preemptions: int
    proposed: int
    accepted: int
    steps: int


@dataclass(kw_only=True)
class _Counts:
    """What has been done."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    proposed: int = 0
    accepted: int = 0
    steps: int = 0
    finished: int = 0
    busy_s: float = 0.0


class Engine:
    """A model that many requests share.

    Args:
        model: any Sparrow model.
        settings: room and work.
        end_ids: tokens that end every text.

    Raises:
        ConfigError: the model cannot speculate as the settings ask.

    Example:
        >>> engine = Engine(model)
        >>> engine.submit([1, 2, 3], Sampling(max_tokens=2))
        0
        >>> while engine.has_work:
        ...     print(engine.step())
    """

    def __init__(
        self,
        model: Sparrow,
        *,
        settings: EngineSettings = EngineSettings(),
        end_ids: Sequence[int] = (),
    ) -> None:
        has_mtp = settings.speculation == "mtp"
        if has_mtp and not model.config.num_nextn_predict_layers:
            raise ConfigError(
                _(
                    "this model has no MTP module to speculate with: choose "
                    'speculation="ngram" or "none".'
                )
            )
        self.model, self.settings = model.eval(), settings
        self.end_ids = frozenset(end_ids)
        room = settings.blocks * settings.block_size
        self.longest = min(model.config.max_position_embeddings, room)
        self.pool = BlockPool(
            settings.blocks, settings.block_size, prefix_cache=settings.prefix_cache
        )
        self.scheduler = Scheduler(
            self.pool,
            max_batch=settings.max_batch,
            token_budget=settings.token_budget,
            max_blocks=self.pool.blocks_for(self.longest),
        )
        self.runner = Runner(
            model, settings.blocks, settings.block_size, has_mtp=has_mtp
        )
        self.requests: dict[int, Request] = {}
        self._ids, self._counts = count(), _Counts()

    def submit(self, prompt: Sequence[int], sampling: Sampling) -> int:
        """Take a request; its tokens come from `step`.

        Returns:
            The request's id.

        Raises:
            QueueFull: too many wait already.
            PromptError: the prompt is empty, too long, or has unknown tokens.
        """
        self._check(prompt)
        if len(self.scheduler.waiting) >= self.settings.max_waiting:
            counts = self._counts
            raise QueueFull(
                _(
                    "{waiting} requests are waiting and no more can; try again later.",
                    waiting=len(self.scheduler.waiting),
                ),
                retry_after_s=max(1, math.ceil(counts.busy_s / (counts.finished or 1))),
            )
        seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        request = Request(
            id=next(self._ids),
            tokens=list(prompt),
            prompt_tokens=len(prompt),
            longest=min(self.longest, len(prompt) + sampling.max_tokens),
            sampling=sampling,
            seed=seed % SEEDS,
            stops=self.end_ids.union(sampling.stop_ids),
        )
        self.requests[request.id] = request
        self.scheduler.waiting.append(request)
        self._counts.prompt_tokens += len(prompt)
        return request.id

    def abort(self, request_id: int) -> None:
        """Forget a request at once; its blocks are free. Nothing if it has ended."""
        request = self.requests.pop(request_id, None)
        if request is not None:
            self.scheduler.leave(request)

    @property
    def has_work(self) -> bool:
        """Whether some request has not ended."""
        return bool(self.requests)

    @torch.inference_mode()
    def step(self) -> list[Output]:
        """Give every running request its next token, or read more of its prompt."""
        started = time.perf_counter()
        plan = self.scheduler.plan()
        if not plan.requests:
            return []
        batch = self.runner.batch(plan, self.scheduler.rows)
        outputs = self._write(plan, batch)
        self._counts.steps += 1
        self._counts.busy_s += time.perf_counter() - started
        return outputs

    def stats(self) -> EngineStats:
        """Where the engine stands."""
        counts, scheduler = self._counts, self.scheduler
        return EngineStats(
            waiting=len(scheduler.waiting),
            running=len(scheduler.running),
            blocks_total=self.settings.blocks,
            blocks_used=self.pool.used_blocks,
            blocks_cached=self.pool.cached_blocks,
            prompt_tokens=counts.prompt_tokens,
            cached_tokens=scheduler.cached_tokens,
            generated_tokens=counts.generated_tokens,
            preemptions=scheduler.preemptions,
            proposed=counts.proposed,
            accepted=counts.accepted,
            steps=counts.steps,
        )

    def page_table(self) -> dict[int, list[int]]:
        """The blocks of each running request, in the order of its tokens."""
        return {each.id: list(each.blocks) for each in self.scheduler.running}

    def _check(self, prompt: Sequence[int]) -> None:
        if not prompt:
            raise PromptError(
                _("a prompt is empty; give at least one token, such as the first one.")
            )
        if len(prompt) >= self.longest:
            raise PromptError(
                _(
                    "the prompt has {got} tokens, and {limit} is the most for prompt "
                    "and answer together; shorten it.",
                    got=len(prompt),
                    limit=self.longest,
                )
            )
        vocabulary = self.model.config.vocab_size
        if unknown := [token for token in prompt if not 0 <= token < vocabulary]:
            raise PromptError(
                _(
                    "token {got} is not in the vocabulary, whose ids are 0 to {last}; "
                    "was this text encoded for another model?",
                    got=unknown[0],
                    last=vocabulary - 1,
                )
            )

    def _write(self, plan: Plan, batch: Batch) -> list[Output]:
        """Draw, keep what is good, and say what each request has got."""
        scored, table = self.runner.scores(batch), self.scheduler.rows
        at = plan.drawn_from
        rows, places = plan.rows[plan.owners[at]], plan.positions[at] + 1
        drawn = self._draw(scored, rows, places)
        tokens, logprobs = drawn.tokens.tolist(), drawn.logprobs.tolist()
        table.tokens[rows, places] = tokens
        outputs, kept = self._outputs(plan, tokens, logprobs, scored.scores)
        table.advance(plan, kept)
        self._counts.generated_tokens += int(kept.sum())
        self.scheduler.remember(plan)
        self._propose(plan, batch)
        for output in outputs:
            if output.finished:
                self.abort(output.request)
                self._counts.finished += 1
        return outputs

    def _outputs(
        self,
        plan: Plan,
        tokens: list[int],
        logprobs: list[float],
        scores: torch.Tensor,
    ) -> tuple[list[Output], Ints]:
        """Append what was drawn to each text; say that, and how much of it was kept.

        Shapes:
            tokens, logprobs: [M]; scores: [M, V]; returns as many outputs as requests
            write, and [B].
        """
        is_guessing = self.settings.speculation != "none"
        outputs, kept, start = [], plan.draws.tolist(), 0
        for place, draws in enumerate(kept):
            if not draws:
                continue
            request, new = plan.requests[place], tokens[start : start + draws]
            if is_guessing:
                new = self._accept(new, request.proposed)
            finished = None
            is_full = len(request.tokens) + len(new) >= request.longest
            if is_full or not request.stops.isdisjoint(new):
                new, finished = request.end(new)
            request.tokens += new
            kept[place] = count = len(new)
            most, top = request.sampling.logprobs, None
            if most is not None:
                top = samplers.most_likely(scores[start : start + count], most)
            outputs.append(
                Output(
                    request=request.id,
                    tokens=new,
                    logprobs=logprobs[start : start + count],
                    top=top,
                    finished=finished,
                    cached=request.found or 0,
                )
            )
            start += draws
        return outputs, np.array(kept, dtype=np.int64)

    def _draw(self, scored: Scored, rows: Ints, places: Ints) -> samplers.Drawn:
        """Draw from each row of scores as its request wants it. Shapes: [M, V], [M]."""
        table, device = self.scheduler.rows, self.runner.device
        numbers = samplers.uniform(table.seed[rows], places.astype(np.uint64))
        return samplers.draw(
            scored,
            torch.from_numpy(table.temperature[rows]).to(device),
            torch.from_numpy(table.top_p[rows]).to(device),
            torch.from_numpy(numbers).to(device),
        )

    def _accept(self, drawn: list[int], proposed: list[int]) -> list[int]:
        """Keep the guesses that came true, and count them."""
        kept = speculate.accept(drawn, proposed)
        self._counts.proposed += len(proposed)
        self._counts.accepted += len(kept) - 1
        return kept

    def _propose(self, plan: Plan, batch: Batch) -> None:
        """Guess what comes next, for the next step to judge."""
        if self.settings.speculation == "ngram":
            for request in plan.requests:
                request.proposed = request.echo.propose(
                    request.tokens, self.settings.proposals
                )
        elif self.settings.speculation == "mtp":
            self._propose_with_mtp(plan, batch)

    def _propose_with_mtp(self, plan: Plan, batch: Batch) -> None:
        table, device = self.scheduler.rows, self.runner.device
        own, after = plan.rows[plan.owners], plan.positions + 1
        # The token after each of the step's tokens, where it is good.
        following = np.where(after < table.length[own], table.tokens[own, after], 0)
        writing = plan.draws > 0
        rows = plan.rows[writing]
        length = table.length[rows]
        good = np.minimum(plan.counts[writing], length - plan.starts[writing] - 1)
        scored = self.runner.guesses(
            batch,
            torch.from_numpy(following).to(device),
            torch.from_numpy(plan.firsts[writing] + good - 1).to(device),
        )
        drawn = self._draw(scored, rows, length).tokens.tolist()
        for place, token in zip(writing.nonzero()[0].tolist(), drawn, strict=True):
            plan.requests[place].proposed = [token]
