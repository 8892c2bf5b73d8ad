"""Let a class ask an engine in this process, while the clock runs.

The same open loop as `sparrow.serve.bench`, without a network between.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sparrow.serve.bench import Answered
from sparrow.serve.engine import Engine
from sparrow.serve.sampling import Sampling

__all__ = ["Frame", "ask_at", "ask_in_batches", "frames"]

NAP_S = 0.002  # nobody has anything to read or write


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Whose each block is, after one step.

    `table` has the blocks of each running request; `known` those whose content could
    be found again.
    """

    step: int
    blocks: int
    table: dict[int, list[int]]
    known: frozenset[int]
    waiting: int


def frames(engine: Engine) -> Iterator[Frame]:
    """Work until nothing is left; look at the blocks before, and after each step."""
    step = 0
    while True:
        contents = engine.pool.contents
        yield Frame(
            step=step,
            blocks=len(contents),
            table=engine.page_table(),
            known=frozenset(
                block for block, held in enumerate(contents) if held is not None
            ),
            waiting=engine.stats().waiting,
        )
        if not engine.has_work:
            return
        engine.step()
        step += 1


def ask_at(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    times_s: Sequence[float],
    sampling: Sampling,
    tell: Callable[[int], None] = lambda _done: None,
) -> list[Answered]:
    """Each prompt comes at its time, however busy the engine is.

    Args:
        engine: has nothing else to do.
        prompts: what is asked.
        times_s: when, in seconds from now, in order.
        sampling: how all are answered.
        tell: told how many are answered.
    """
    answers = [Answered(asked_s=at) for at in times_s]
    asked: dict[int, Answered] = {}
    began, coming, done = time.perf_counter(), 0, 0
    while coming < len(answers) or engine.has_work:
        now = time.perf_counter() - began
        while coming < len(answers) and times_s[coming] <= now:
            asked[engine.submit(prompts[coming], sampling)] = answers[coming]
            coming += 1
        if not engine.has_work:
            time.sleep(NAP_S)
            continue
        outputs = engine.step()
        now = time.perf_counter() - began
        for output in outputs:
            answer = asked[output.request]
            answer.pieces_s.append(now)
            answer.tokens += len(output.tokens)
            answer.cached_tokens = output.cached
            done += output.finished is not None
        tell(done)
    return answers


def ask_in_batches(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    samplings: Sequence[Sampling],
    size: int,
) -> int:
    """The steps it takes if a batch must end before the next one may begin."""
    before = engine.stats().steps
    asked = list(zip(prompts, samplings, strict=False))
    for first in range(0, len(asked), size):
        for prompt, sampling in asked[first : first + size]:
            engine.submit(prompt, sampling)
        while engine.has_work:
            engine.step()
    return engine.stats().steps - before
