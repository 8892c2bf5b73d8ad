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
from sparrow.serve.settings import EngineSettings

__all__ = ["Engine", "EngineStats", "Output"]


@dataclass(slots=True)  # neither frozen nor by keyword: four times as quick to make
class Output:
    """What one request wrote in one step.

    `tokens` ends with the stop token, if one ended it. `cached` tokens of its prompt
    were in the cache. If the request asked for them, `logprobs` are natural logarithms
    at temperature 1, and `top` has the most likely tokens at each place.
    """

    request: int
    tokens: list[int]
    finished: Finished | None = None
    cached: int = 0
    logprobs: list[float] | None = None
    top: list[list[tuple[int, float]]] | None = None


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
        tokens = drawn.numpy(force=True)
        kept, ends = self._keep(plan, tokens)
        table.tokens[rows, places] = tokens
        outputs = self._outputs(plan, drawn, kept, ends, scored.scores)
        table.advance(plan, kept)
        self._counts.generated_tokens += int(kept.sum())
        self.scheduler.remember(plan)
        self._propose(plan, batch)
        for place in ends:
            self.abort(plan.requests[place].id)
        self._counts.finished += len(ends)
        return outputs

    def _keep(self, plan: Plan, tokens: Ints) -> tuple[Ints, dict[int, Finished]]:
        """How much each text keeps of what was drawn for it, and which of them end.

        Shapes:
            tokens: [M]; returns [B], and why a request ends, by its place in the plan.
        """
        table, kept = self.scheduler.rows, plan.draws.copy()
        is_guessing = self.settings.speculation != "none"
        for place in plan.draws.nonzero()[0].tolist() if is_guessing else ():
            start, draws = plan.begins[place], int(plan.draws[place])
            proposed = table.guesses(plan.rows[place], draws - 1)
            own = tokens[start : start + draws].tolist()
            kept[place] = len(speculate.accept(own, proposed))
            self._counts.proposed += len(proposed)
            self._counts.accepted += int(kept[place]) - 1
        left = table.longest[plan.rows] - table.length[plan.rows]
        kept = np.minimum(kept, left)
        ends: dict[int, Finished] = {}
        for place in ((kept == left) & (plan.draws > 0)).nonzero()[0].tolist():
            ends[place] = "length"
        owners = np.repeat(np.arange(len(kept)), plan.draws)
        stops = table.stops[plan.rows[owners]]
        for at in (tokens[:, None] == stops).any(axis=-1).nonzero()[0].tolist():
            place = int(owners[at])
            count = at - plan.begins[place] + 1
            if count <= kept[place]:  # what comes behind it is not kept any more
                kept[place], ends[place] = count, "stop"
        return kept, ends

    def _outputs(
        self,
        plan: Plan,
        drawn: torch.Tensor,
        kept: Ints,
        ends: dict[int, Finished],
        scores: torch.Tensor,
    ) -> list[Output]:
        """Say what each request that writes has got in this step.

        Shapes:
            drawn: [M]; kept: [B]; scores: [M, V].
        """
        table, rows = self.scheduler.rows, plan.rows
        begins, tokens = plan.begins, drawn.tolist()
        told = (table.request[rows], begins, begins + kept, table.found[rows])
        outputs = [
            Output(request, tokens[start:stop], None, found)
            for request, start, stop, found in zip(
                *(each.tolist() for each in told), strict=True
            )
        ]
        for place, end in ends.items():
            outputs[place].finished = end
        wanted = np.where(kept > 0, table.alternatives[rows], -1)
        for place in (wanted >= 0).nonzero()[0].tolist():
            own = slice(begins[place], begins[place] + kept[place])
            explained = samplers.explain(scores[own], drawn[own], int(wanted[place]))
            outputs[place].logprobs, outputs[place].top = explained
        return [each for each in outputs if each.tokens]

    def _draw(self, scored: Scored, rows: Ints, places: Ints) -> torch.Tensor:
        """Draw from each row of scores as its request wants it. Shapes: [M, V], [M]."""
        table = self.scheduler.rows
        hot = table.temperature[rows].nonzero()[0]
        own = rows[hot]
        numbers = samplers.uniform(table.seed[own], places[hot].astype(np.uint64))
        told = (hot, table.temperature[own], table.top_p[own], numbers)
        device = self.runner.device
        return samplers.draw(scored, *(torch.from_numpy(x).to(device) for x in told))

    def _propose(self, plan: Plan, batch: Batch) -> None:
        """Guess what comes next, for the next step to judge."""
        if self.settings.speculation == "ngram":
            table = self.scheduler.rows
            for row, request in zip(plan.rows.tolist(), plan.requests, strict=True):
                most = self.settings.proposals
                table.propose(row, request.echo.propose(table.text(row), most))
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
        drawn = self._draw(scored, rows, length).tolist()
        for row, token in zip(rows.tolist(), drawn, strict=True):
            table.propose(row, [token])
