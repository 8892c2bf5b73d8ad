"""Pretend to be a class: learners ask when they like, however quick the server is.

An open loop: each learner asks at random times (Poisson), and does not wait for the
answer before. A closed loop would spare a slow server, and so flatter it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from sparrow.data import problems
from sparrow.errors import ConfigError, SparrowError
from sparrow.language import _

__all__ = [
    "Answered",
    "Load",
    "Report",
    "Sample",
    "ServerError",
    "arrivals",
    "ask",
    "health",
    "run",
]

LOOK_EVERY_S = 0.25  # at the queue
PERCENTS = (50, 95, 99)


class ServerError(SparrowError):
    """A server that does not answer, or not as ours does."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many learners, and how often each asks.

    Raises:
        ConfigError: a number is out of its range.
    """

    learners: int = 30
    every_s: float = 15.0  # mean time between two questions of one learner
    duration_s: float = 60.0
    max_tokens: int = 128
    temperature: float = 0.6
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that there is something to do."""
        for name in ("learners", "every_s", "duration_s", "max_tokens"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    _(
                        "{name} must be more than 0, got {got}.",
                        name=name,
                        got=getattr(self, name),
                    )
                )


@dataclass(kw_only=True)
class Answered:
    """One question's fate. Times in seconds since the bench began.

    `pieces_s` are the times at which text came; several tokens may come at once.
    """

    asked_s: float
    pieces_s: list[float] = field(default_factory=list)
    tokens: int = 0
    cached_tokens: int = 0
    status: int = 0  # of HTTP; 0: no answer at all
    problem: str | None = None

    @property
    def first_s(self) -> float:
        """From question to first word."""
        return self.pieces_s[0] - self.asked_s


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The server's own figures at one time."""

    at_s: float
    waiting: int
    running: int
    blocks_used: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of it."""

    model: str
    load: Load
    answers: list[Answered]
    samples: list[Sample]

    @property
    def good(self) -> list[Answered]:
        """Those that were answered to the end."""
        return [each for each in self.answers if each.problem is None]

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all answers, from the first question to the last word."""
        good = [each for each in self.good if each.pieces_s]
        if not good:
            return 0.0
        began = min(each.asked_s for each in good)
        ended = max(each.pieces_s[-1] for each in good)
        return sum(each.tokens for each in good) / max(ended - began, 1e-9)

    @property
    def first_s(self) -> dict[int, float]:
        """Percentiles of the time to the first word."""
        return _percentiles([each.first_s for each in self.good if each.pieces_s])

    @property
    def between_s(self) -> dict[int, float]:
        """Percentiles of the time between two pieces of text."""
        gaps = [np.diff(each.pieces_s) for each in self.good]
        return _percentiles(np.concatenate([*gaps, []]).tolist())

    def to_dict(self) -> dict[str, Any]:
        """All of it, for a JSON file."""
        return {
            "model": self.model,
            "load": vars(self.load),
            "asked": len(self.answers),
            "answered": len(self.good),
            "tokens_per_s": self.tokens_per_s,
            "first_s": self.first_s,
            "between_s": self.between_s,
            "answers": [vars(each) for each in self.answers],
            "samples": [vars(each) for each in self.samples],
        }


def _percentiles(values: Sequence[float]) -> dict[int, float]:
    if not values:
        return dict.fromkeys(PERCENTS, float("nan"))
    return {each: float(np.percentile(values, each)) for each in PERCENTS}


def arrivals(load: Load) -> list[float]:
    """When somebody asks, in seconds: all learners together.

    Many that ask at random times, each independent of the others, are one Poisson
    process with the sum of their rates.
    """
    rng = np.random.default_rng(load.seed)
    rate = load.learners / load.every_s
    # Given their number, the times of a Poisson process are uniform.
    count = rng.poisson(rate * load.duration_s)
    return np.sort(rng.uniform(0, load.duration_s, count)).tolist()


async def run(address: str, load: Load) -> Report:
    """Ask, and write down what comes.

    Raises:
        ServerError: nobody answers at this address.
    """
    told = await _get(address, "/page.json")
    model = told["model"]["id"]
    times = arrivals(load)
    questions = _questions(told["examples"], len(times), load.seed)
    began = time.perf_counter()
    answers = [Answered(asked_s=at) for at in times]
    samples: list[Sample] = []
    watching = asyncio.create_task(_watch(address, began, samples))

    async def learner(answer: Answered, place: int) -> None:
        await asyncio.sleep(began + answer.asked_s - time.perf_counter())
        body = {
            "model": model,
            "messages": [{"role": "user", "content": questions[place]}],
            "max_tokens": load.max_tokens,
            "temperature": load.temperature,
            "seed": load.seed + place,
        }
        await ask(address, body, answer, began)

    try:
        async with asyncio.TaskGroup() as group:
            for place, answer in enumerate(answers):
                group.create_task(learner(answer, place))
    finally:
        watching.cancel()
    return Report(model=model, load=load, answers=answers, samples=samples)


def _questions(examples: list[str], count: int, seed: int) -> list[str]:
    """What is asked: problems of Countdown, where the model knows that and no more."""
    if examples[0].startswith("numbers "):
        drawn = problems.drawn(
            "countdown", max(count, 1), seed=seed, numbers=3, largest=9, held_out=False
        )
        return [each.question for each in drawn]
    return [examples[each % len(examples)] for each in range(count)]


async def ask(
    address: str, body: dict[str, Any], answer: Answered, began: float
) -> None:
    """One question by a stream; whatever goes wrong is written down."""
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    try:
        async for event in _post(address, asked, answer):
            if "error" in event:
                answer.problem = event["error"]["message"]
            elif event.get("usage"):
                answer.tokens = event["usage"]["completion_tokens"]
                answer.cached_tokens = event["usage"]["prompt_cache_hit_tokens"]
            elif any(_says(each["delta"]) for each in event["choices"]):
                answer.pieces_s.append(time.perf_counter() - began)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        answer.problem = repr(error)
    if answer.problem is None and not answer.tokens:
        answer.problem = f"HTTP {answer.status}"


def _says(delta: dict[str, Any]) -> bool:
    """Whether there are words in it."""
    return bool(delta.get("content") or delta.get("reasoning_content"))


async def _post(
    address: str, body: dict[str, Any], answer: Answered
) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream."""
    reader, writer = await _connect(address)
    try:
        text = json.dumps(body).encode()
        _write_head(writer, address, "POST", "/v1/chat/completions", len(text))
        writer.write(text)
        answer.status = await _read_head(reader)
        if answer.status != 200:
            answer.problem = json.loads(await reader.read())["error"]["message"]
            return
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                yield json.loads(line[len(b"data: ") :])
    finally:
        writer.close()


async def _watch(address: str, began: float, samples: list[Sample]) -> None:
    """Look at the queue now and then."""
    while True:
        told = await _get(address, "/health")
        samples.append(
            Sample(
                at_s=time.perf_counter() - began,
                **{name: told[name] for name in ("waiting", "running", "blocks_used")},
            )
        )
        await asyncio.sleep(LOOK_EVERY_S)


async def health(address: str, began: float = 0.0) -> Sample:
    """The server's figures now.

    Raises:
        ServerError: nobody answers.
    """
    told = await _get(address, "/health")
    names = ("waiting", "running", "blocks_used")
    at_s = time.perf_counter() - began
    return Sample(at_s=at_s, **{name: told[name] for name in names})


async def _get(address: str, path: str) -> dict[str, Any]:
    try:
        reader, writer = await _connect(address)
        _write_head(writer, address, "GET", path, 0)
        await _read_head(reader)
        told: dict[str, Any] = json.loads(await reader.read())
    except (OSError, ValueError) as error:
        raise ServerError(
            _(
                "no server of ours answers at {address} ({reason}): start one with  "
                "sparrow serve",
                address=address,
                reason=error,
            )
        ) from error
    writer.close()
    return told


# HTTP by hand, version 1.0: an answer is one stream of lines, and the client costs the
# processor less than the server that it shares it with.


async def _connect(
    address: str,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(address)
    return await asyncio.open_connection(parts.hostname, parts.port or 80)


def _write_head(
    writer: asyncio.StreamWriter, address: str, method: str, path: str, length: int
) -> None:
    lines = (
        f"{method} {path} HTTP/1.0",
        f"Host: {urlsplit(address).netloc}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())


async def _read_head(reader: asyncio.StreamReader) -> int:
    """The status."""
    first = (await reader.readline()).split()
    while (await reader.readline()).strip():
        pass
    if len(first) < 2:
        raise ConnectionError("closed")
    return int(first[1])
