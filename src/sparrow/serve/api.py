"""From a request to its answers: encode, ask the engine, and write what it says.

ask -> Job -> worker -> pieces -> one reply, or many
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.serve import replies
from sparrow.serve.choice import Choice, Piece
from sparrow.serve.metrics import Metrics
from sparrow.serve.refusal import Refusal
from sparrow.serve.replies import ChatReply, Reply, TextReply
from sparrow.serve.sampling import Sampling
from sparrow.serve.schema import Ask, Chat, Completion
from sparrow.serve.words import Thought
from sparrow.serve.worker import Listener, Worker
from sparrow.text import Tokenizer

__all__ = ["Api", "Job"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A request that is ready for the engine: one entry in each list for an answer."""

    asks: list[tuple[list[int], Sampling]]
    choices: list[Choice]
    reply: Reply
    prompts: int
    prompt_tokens: int
    wants_usage: bool

    def bill(self) -> dict[str, Any]:
        """What it cost so far."""
        return replies.usage(self.prompt_tokens, self.prompts, self.choices)


class Api:
    """One served model.

    Args:
        model: its name.
        tokenizer: of the model.
        worker: drives the engine.
        longest: tokens of prompt and answer together.
    """

    def __init__(
        self, model: str, tokenizer: Tokenizer, worker: Worker, *, longest: int
    ) -> None:
        self.model, self.tokenizer, self.worker = model, tokenizer, worker
        self.longest = longest
        self.metrics = Metrics(lambda: worker.stats)
        self.created = int(time.time())

    def chat(self, ask: Chat) -> Job:
        """A conversation to be answered.

        Raises:
            Refusal: it cannot be.
        """
        self.check_model(ask.model)
        messages = [turn.message() for turn in ask.messages]
        try:
            prompt = self.tokenizer.chat(messages)
        except CheckpointError as error:
            raise Refusal(str(error), param="messages") from error
        except TemplateError as error:
            raise Refusal(
                _(
                    "this model's chat template refuses the messages: {reason}.",
                    reason=error,
                ),
                param="messages",
            ) from error
        return self._job(ask, [prompt], ChatReply(self.model))

    def completion(self, ask: Completion) -> Job:
        """Texts to go on with.

        Raises:
            Refusal: that cannot be.
        """
        self.check_model(ask.model)
        prompts = [
            self.tokenizer.encode(each) if isinstance(each, str) else each
            for each in ask.prompts
        ]
        return self._job(ask, prompts, TextReply(self.model))

    def check_model(self, name: str) -> None:
        """Refuse what is not served.

        Raises:
            Refusal: it is another model.
        """
        if name != self.model:
            raise Refusal(
                _(
                    'no model called "{name}" is served here, only "{model}".',
                    name=name,
                    model=self.model,
                ),
                status=404,
                param="model",
                code="model_not_found",
            )

    def card(self) -> dict[str, Any]:
        """What /v1/models says."""
        return {
            "id": self.model,
            "object": "model",
            "created": self.created,
            "owned_by": "sparrow",
            "max_model_len": self.longest,
        }

    async def whole(self, job: Job, listener: Listener) -> dict[str, Any]:
        """All answers at once."""
        pieces = [Piece() for _choice in job.choices]
        async for _place in self._written(job, listener, dict(enumerate(pieces))):
            pass
        ends = [choice.finished for choice in job.choices]
        return job.reply.whole(pieces, ends, job.bill())

    async def pieces(
        self, job: Job, listener: Listener
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """The answers as they come, several pieces at a time where they come fast."""
        first = [job.reply.first(place) for place in range(len(job.choices))]
        yield [each for each in first if each is not None]
        new: dict[int, Piece] = {}
        async for places in self._written(job, listener, new):
            told = []
            for place in places:
                end = job.choices[place].finished
                piece = new.pop(place)
                if end is not None or not piece.is_empty:
                    told.append(job.reply.piece(place, piece, end))
            if told:
                yield told
        if job.wants_usage:
            yield [job.reply.bill(job.bill())]

    async def _written(
        self, job: Job, listener: Listener, pieces: dict[int, Piece]
    ) -> AsyncIterator[list[int]]:
        """Write what comes into the pieces; gives the places of those that grew."""
        metrics, began = self.metrics, time.perf_counter()
        last: dict[int, float] = {}
        async for heard in listener:
            now = time.perf_counter()
            grew = []
            for place, output in heard:
                choice = job.choices[place]
                if choice.finished is not None:
                    continue
                choice.add(output, pieces.setdefault(place, Piece()))
                grew.append(place)
                if choice.finished and not output.finished:
                    listener.drop(place)
                if place in last:
                    metrics.between_tokens_s.observe(now - last[place])
                else:
                    metrics.first_token_s.observe(now - began)
                last[place] = now
            yield list(dict.fromkeys(grew))
        metrics.request_s.observe(time.perf_counter() - began)

    def _job(self, ask: Ask, prompts: list[list[int]], reply: Reply) -> Job:
        choices, asks = [], []
        for prompt in prompts:
            room = self._room(ask, prompt)
            for place in range(ask.n or 1):
                asks.append((prompt, self._sampling(ask, room, place)))
                choices.append(
                    Choice(
                        self.tokenizer,
                        stops=ask.stops,
                        thought=Thought() if isinstance(ask, Chat) else None,
                        with_logprobs=ask.alternatives is not None,
                    )
                )
        return Job(
            asks=asks,
            choices=choices,
            reply=reply,
            prompts=len(prompts),
            prompt_tokens=sum(map(len, prompts)),
            wants_usage=ask.wants_usage,
        )

    def _room(self, ask: Ask, prompt: list[int]) -> int:
        """How many tokens the answer may have."""
        room = self.longest - len(prompt)
        wanted = ask.most_tokens
        if room >= (wanted or 1):
            return wanted or room
        raise Refusal(
            _(
                "the prompt has {prompt} tokens and asks for {wanted} more; {longest} "
                "are the most for both together.",
                prompt=len(prompt),
                wanted=wanted or 1,
                longest=self.longest,
            ),
            param="messages" if wanted is None else "max_tokens",
            code="context_length_exceeded",
        )

    def _sampling(self, ask: Ask, room: int, place: int) -> Sampling:
        """As the request wants it; several answers have several seeds."""
        return Sampling(
            temperature=1.0 if ask.temperature is None else ask.temperature,
            top_p=1.0 if ask.top_p is None else ask.top_p,
            seed=None if ask.seed is None else ask.seed + place,
            max_tokens=room,
            logprobs=ask.alternatives,
        )
