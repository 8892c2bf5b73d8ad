"""Two hundred people stream for minutes: no error, no lost block, flat memory."""

import asyncio
import time

import psutil
import pytest

from sparrow.serve import bench
from tests.e2e.served import served

STREAMS, WARM_S, HELD_S = 200, 60.0, 180.0
WINDOW_S = 30.0  # memory is compared between the first and the last of these
# The allocator keeps the most that it ever needed, which creeps up for some minutes.
GROWTH_MIB = 32


async def hold(home, process):
    """Each stream is followed by the next, so that there are always as many."""
    began = time.perf_counter()
    answers, memory_mib, running = [], [], []

    async def caller(place):
        while time.perf_counter() - began < HELD_S:
            body = {
                "model": "pico-r1",
                "messages": [
                    {"role": "user", "content": f"numbers {place} 7 target 9"}
                ],
                "max_tokens": 400,
                "temperature": 1.0,
            }
            answers.append(bench.Answered(asked_s=time.perf_counter() - began))
            await bench.ask(home, body, answers[-1], began)

    async def watch():
        while True:
            at_s = time.perf_counter() - began
            memory_mib.append((at_s, process.memory_info().rss / 2**20))
            running.append(await bench.health(home, began))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*map(caller, range(STREAMS)))
    watching.cancel()
    return answers, memory_mib, running


@pytest.mark.slow
def test_two_hundred_streams_are_held_for_two_minutes_after_one_of_warming_up():
    # A small cache: all of its memory is in use soon, and requests must give way.
    with served("--model", "pico-r1", "--cache-mib", "32") as (home, process):
        server = psutil.Process(process.pid)
        answers, memory_mib, running = asyncio.run(hold(home, server))
        left = asyncio.run(bench.health(home))
    early = [mib for at_s, mib in memory_mib if 0 < at_s - WARM_S < WINDOW_S]
    late = [mib for at_s, mib in memory_mib if 0 < HELD_S - at_s < WINDOW_S]
    tokens = sum(each.tokens for each in answers)
    print(
        f"{len(answers)} answers, {tokens} tokens, {min(early):.0f} to {max(early):.0f}"
        f" MiB early, {min(late):.0f} to {max(late):.0f} MiB late"
    )
    assert [each.problem for each in answers if each.problem] == []
    assert (left.blocks_used, left.running, left.waiting) == (0, 0, 0)
    settled = [each.running + each.waiting for each in running if each.at_s > WARM_S]
    # Between two answers a caller waits for the step that runs just then.
    assert sorted(settled)[len(settled) // 2] > 0.75 * STREAMS
    assert max(late) < max(early) + GROWTH_MIB
