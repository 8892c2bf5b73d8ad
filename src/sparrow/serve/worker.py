"""Let one thread drive the engine, and many conversations listen to it.

The engine is single-threaded and a step takes as long as it takes. So the server's
event loop never touches it: it leaves notes, which the thread reads between two steps,
and all that a step has written comes back in one call.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from sparrow.serve.engine import EngineStats, Output
from sparrow.serve.refusal import Closing
from sparrow.serve.sampling import Sampling

__all__ = ["Ask", "Drives", "Listener", "Worker"]

LOG = logging.getLogger("sparrow.serve")

Ask = tuple[Sequence[int], Sampling]


class Drives(Protocol):
    """What the worker needs of an engine."""

    @property
    def has_work(self) -> bool: ...
    def submit(self, prompt: Sequence[int], sampling: Sampling) -> int: ...
    def abort(self, request_id: int) -> None: ...
    def step(self) -> list[Output]: ...
    def stats(self) -> EngineStats: ...


class Listener:
    """One caller's requests: what they write comes here until it goes away.

    Example:
        >>> listener = await worker.submit([([1, 2, 3], Sampling())])
        >>> try:
        ...     async for outputs in listener:
        ...         print(outputs)
        ... finally:
        ...     listener.close()
    """

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self.loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[tuple[int, Output] | Exception] = asyncio.Queue()
        # Request id -> which of the caller's requests; only the thread changes it.
        self.places: dict[int, int] = {}
        self._open: set[int] = set()

    def begin(self, count: int) -> None:
        """So many requests were taken."""
        self._open = set(range(count))

    def hear(self, news: tuple[int, Output] | Exception) -> None:
        """Something was written, or the engine failed. In the event loop."""
        self._news.put_nowait(news)

    async def __aiter__(self) -> AsyncIterator[list[tuple[int, Output]]]:
        """All that came since the last time: a slow listener gets more at once.

        Raises:
            Exception: the step failed in which a request was.
        """
        while self._open:
            heard = [await self._news.get()]
            while not self._news.empty():
                heard.append(self._news.get_nowait())
            outputs = []
            for news in heard:
                if isinstance(news, Exception):
                    raise news
                outputs.append(news)
                if news[1].finished:
                    self._open.discard(news[0])
            yield outputs

    def drop(self, place: int) -> None:
        """One of the requests has said enough: its blocks are free at the next step."""
        self._open.discard(place)
        self._worker.leave(self, place)

    def close(self) -> None:
        """Want nothing any more. Safe to call twice."""
        self._open = set()
        self._worker.leave(self, None)


class Worker:
    """An engine in a thread of its own.

    Args:
        engine: only this worker may use it from now on.
    """

    def __init__(self, engine: Drives) -> None:
        self._engine = engine
        self._notes: list[Callable[[], None]] = []
        self._bell = threading.Condition()
        self._listeners: dict[int, Listener] = {}  # by request id
        self._is_over = False
        self.stats = engine.stats()
        self.is_closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that runs now."""
        self._is_over = True
        self._leave_note(lambda: None)
        self._thread.join()

    async def submit(self, asks: Sequence[Ask]) -> Listener:
        """Take some requests: all of them, or none.

        Raises:
            Closing: the server takes nothing new.
            QueueFull: too many wait already.
            PromptError: a prompt cannot be read.
        """
        if self.is_closing:
            raise Closing
        listener = Listener(self)
        taken: asyncio.Future[None] = listener.loop.create_future()

        def take() -> None:
            try:
                for place, (prompt, sampling) in enumerate(asks):
                    request = self._engine.submit(prompt, sampling)
                    listener.places[request] = place
                    self._listeners[request] = listener
            except Exception as error:  # the caller is told
                self._forget(listener, None)
                self._call(listener.loop, _settle, taken, error)
            else:
                self._call(listener.loop, _settle, taken, None)

        self._leave_note(take)
        listener.begin(len(asks))
        try:
            await taken
        except BaseException:  # cancelled as well: whoever asked is gone
            listener.close()
            raise
        return listener

    def leave(self, listener: Listener, place: int | None) -> None:
        """Forget one of a listener's requests, or all of them."""
        self._leave_note(lambda: self._forget(listener, place))

    async def drain(self, wait_s: float) -> None:
        """Take nothing new, and wait until all that was taken is finished."""
        self.is_closing = True
        now = asyncio.get_running_loop().time
        until = now() + wait_s
        while (self._listeners or self._notes) and now() < until:
            await asyncio.sleep(0.05)

    def _leave_note(self, note: Callable[[], None]) -> None:
        with self._bell:
            self._notes.append(note)
            self._bell.notify()

    def _forget(self, listener: Listener, place: int | None) -> None:
        for request, own in list(listener.places.items()):
            if place is None or own == place:
                del listener.places[request]
                if self._listeners.pop(request, None) is not None:
                    self._engine.abort(request)

    def _run(self) -> None:
        while not self._is_over:
            with self._bell:
                while not (self._notes or self._engine.has_work):
                    self._bell.wait()
                notes, self._notes = self._notes, []
            for note in notes:
                note()
            if self._engine.has_work:
                self._step()
            self.stats = self._engine.stats()

    def _step(self) -> None:
        try:
            outputs = self._engine.step()
        except Exception as error:  # one bad step must not end the server
            LOG.exception("a step failed")
            failed, self._listeners = self._listeners, {}
            for request in failed:
                self._engine.abort(request)
            self.stats = self._engine.stats()
            for listener in failed.values():
                self._call(listener.loop, listener.hear, error)
            return
        # Before anybody hears of it: who reads the last word may ask how things stand.
        self.stats = self._engine.stats()
        news: dict[asyncio.AbstractEventLoop, list[tuple[Listener, int, Output]]] = {}
        for output in outputs:
            listener = self._listeners[output.request]
            place = listener.places[output.request]
            news.setdefault(listener.loop, []).append((listener, place, output))
            if output.finished:
                del self._listeners[output.request]
                del listener.places[output.request]
        for loop, told in news.items():
            self._call(loop, _spread, told)

    def _call(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., None],
        *arguments: object,
    ) -> None:
        """Run something in an event loop, unless it has ended."""
        with suppress(RuntimeError):  # it is closed, and nobody listens in it
            loop.call_soon_threadsafe(function, *arguments)


def _settle(taken: "asyncio.Future[None]", error: Exception | None) -> None:
    """Answer whoever waits for it, if anybody still does."""
    if taken.done():
        return
    if error is None:
        taken.set_result(None)
    else:
        taken.set_exception(error)


def _spread(told: list[tuple[Listener, int, Output]]) -> None:
    """Give each listener its part of one step."""
    for listener, place, output in told:
        listener.hear((place, output))
