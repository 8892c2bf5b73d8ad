"""One thread drives the engine; whoever listens gets all of it, and can go away."""

import asyncio

import pytest

from sparrow.errors import PromptError, QueueFull
from sparrow.serve.refusal import Closing
from sparrow.serve.sampling import Sampling
from sparrow.serve.worker import Worker
from tests.unit.parrot import END, Parrot

SAYS = [5, 6, 7]
ASK = ([1], Sampling())


def run(engine, conversation):
    """Drive a worker inside an event loop."""
    worker = Worker(engine)
    worker.start()
    try:
        return asyncio.run(conversation(worker))
    finally:
        engine.may_step.set()
        worker.stop()


async def tokens_of(listener, count=1):
    said = [[] for _place in range(count)]
    async for outputs in listener:
        for place, output in outputs:
            said[place] += output.tokens
    return said


async def until(condition):
    for _attempt in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


def test_every_listener_gets_its_own_tokens_in_order():
    async def conversation(worker):
        listeners = [await worker.submit([ASK, ASK]) for _caller in range(3)]
        return await asyncio.gather(*(tokens_of(each, 2) for each in listeners))

    assert run(Parrot(SAYS), conversation) == [[[*SAYS, END]] * 2] * 3


def test_a_slow_listener_gets_all_that_came_at_once():
    async def conversation(worker):
        listener = await worker.submit([ASK])
        await until(lambda: not engine.going)
        return [len(outputs) async for outputs in listener]

    engine = Parrot(SAYS)
    assert run(engine, conversation) == [len(SAYS) + 1]


def test_who_goes_away_frees_its_blocks_at_once():
    async def conversation(worker):
        listener = await worker.submit([ASK, ASK])
        listener.close()
        await until(lambda: len(engine.aborted) == 2)

    engine = Parrot([5] * 100_000)
    run(engine, conversation)
    assert sorted(engine.aborted) == [0, 1]


def test_who_is_gone_before_it_was_taken_leaves_nothing():
    async def conversation(worker):
        engine.may_step.clear()
        task = asyncio.ensure_future(worker.submit([ASK]))
        await asyncio.sleep(0)
        task.cancel()
        await until(lambda: engine.asked and not engine.going)

    engine = Parrot([5] * 100_000)
    run(engine, conversation)
    assert engine.aborted == [0]


def test_of_several_requests_all_are_taken_or_none():
    async def conversation(worker):
        engine.may_step.clear()
        with pytest.raises(QueueFull) as caught:
            await worker.submit([ASK] * 3)
        assert caught.value.retry_after_s == 7
        await until(lambda: not engine.going)
        with pytest.raises(PromptError):
            await worker.submit([ASK, ([], Sampling())])
        await until(lambda: not engine.going)
        engine.may_step.set()
        return await tokens_of(await worker.submit([ASK]))

    engine = Parrot(SAYS, most=2)
    assert run(engine, conversation) == [[*SAYS, END]]


def test_a_step_that_fails_ends_its_requests_and_nothing_else(caplog):
    async def conversation(worker):
        with pytest.raises(RuntimeError):
            await tokens_of(await worker.submit([ASK]))
        assert not engine.going
        return await tokens_of(await worker.submit([ASK]))

    engine = Parrot(SAYS, breaks_at=2)
    assert run(engine, conversation) == [[*SAYS, END]]
    assert "a step that fails" in caplog.text


def test_who_closes_finishes_what_began_and_takes_nothing_new():
    async def conversation(worker):
        engine.may_step.clear()
        listener = await worker.submit([ASK])
        draining = asyncio.ensure_future(worker.drain(wait_s=10))
        await asyncio.sleep(0.1)
        assert not draining.done()
        with pytest.raises(Closing):
            await worker.submit([ASK])
        engine.may_step.set()
        said = await tokens_of(listener)
        await draining
        return said

    engine = Parrot(SAYS)
    assert run(engine, conversation) == [[*SAYS, END]]


def test_one_of_several_answers_can_end_early():
    async def conversation(worker):
        listener = await worker.submit([ASK, ASK])
        listener.drop(0)
        return await tokens_of(listener, 2)

    engine = Parrot(SAYS)
    engine.may_step.clear()

    async def slowly(worker):
        task = asyncio.ensure_future(conversation(worker))
        await until(lambda: engine.aborted)
        engine.may_step.set()
        return await task

    assert run(engine, slowly) == [[], [*SAYS, END]]
