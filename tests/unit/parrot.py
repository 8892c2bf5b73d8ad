"""An engine that repeats what it was taught, and a server around it, for tests."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sparrow import checkpoints
from sparrow.errors import PromptError, QueueFull
from sparrow.serve.api import Api
from sparrow.serve.engine import EngineStats, Output
from sparrow.serve.http import make_app
from sparrow.serve.sampling import Sampling
from sparrow.serve.server import Server, listen
from sparrow.serve.worker import Drives, Worker
from sparrow.text import Tokenizer

END = 0
LONGEST = 64
BLOCKS_EACH = 4


def tokenizer() -> Tokenizer:
    """Of the smallest model that thinks."""
    return Tokenizer(checkpoints.find("pico-r1"))


@dataclass
class Parrot:
    """Gives each request the same tokens, one a step, and then the end.

    It steps only while `may_step` is set; `most` run or wait at a time.
    """

    says: Sequence[int]
    most: int = 8
    breaks_at: int | None = None  # the step that fails
    may_step: threading.Event = field(default_factory=threading.Event)
    going: dict[int, deque[int]] = field(default_factory=dict)
    room: dict[int, int] = field(default_factory=dict)
    asked: list[tuple[list[int], Sampling]] = field(default_factory=list)
    aborted: list[int] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self.may_step.set()

    @property
    def has_work(self) -> bool:
        return bool(self.going)

    def submit(self, prompt: Sequence[int], sampling: Sampling) -> int:
        if len(self.going) >= self.most:
            raise QueueFull("too many wait", retry_after_s=7)
        if not prompt:
            raise PromptError("the prompt is empty")
        self.asked.append((list(prompt), sampling))
        request = len(self.asked) - 1
        self.going[request] = deque([*self.says, END])
        self.room[request] = sampling.max_tokens
        return request

    def abort(self, request_id: int) -> None:
        if self.going.pop(request_id, None) is not None:
            self.aborted.append(request_id)

    def step(self) -> list[Output]:
        if not self.may_step.wait(0.01):
            return []
        time.sleep(0.0005)  # as a model's step, it leaves the interpreter to others
        self.steps += 1
        if self.steps == self.breaks_at:
            raise RuntimeError("a step that fails")
        return [self._output(request) for request in list(self.going)]

    def _output(self, request: int) -> Output:
        token = self.going[request].popleft()
        self.room[request] -= 1
        finished = None
        if token == END:
            finished = "stop"
        elif not self.room[request]:
            finished = "length"
        if finished:
            del self.going[request]
        most = self.asked[request][1].logprobs
        top = None if most is None else [[(token, -0.5)] * most]
        return Output(
            request=request, tokens=[token], logprobs=[-0.5], top=top, finished=finished
        )

    def stats(self) -> EngineStats:
        nothing = dict.fromkeys(EngineStats.__dataclass_fields__, 0)
        used = {"blocks_used": BLOCKS_EACH * len(self.going), "blocks_total": 100}
        return EngineStats(**nothing | used)


@contextmanager
def served(engine: Drives, *, longest: int = LONGEST) -> Iterator[tuple[str, Server]]:
    """A server at an address, until the block ends."""
    api = Api("parrot", tokenizer(), Worker(engine), longest=longest)
    server = Server(make_app(api), api.worker, grace_s=5)
    socket = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([socket])))
    thread.start()
    try:
        yield address, server
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
