"""Who writes never waits for somebody's prompt; who is youngest makes room."""

import numpy as np

from sparrow.serve.blocks import BlockPool
from sparrow.serve.sampling import Sampling
from sparrow.serve.scheduler import Request, Scheduler, share_budget


def request(number: int, tokens: int, longest: int = 64) -> Request:
    return Request(
        id=number,
        tokens=[number * 100 + place for place in range(tokens)],
        prompt_tokens=tokens,
        longest=longest,
        sampling=Sampling(),
        seed=0,
        stops=frozenset(),
    )


def make(blocks: int, *, budget: int = 8, max_batch: int = 4) -> Scheduler:
    pool = BlockPool(blocks, 4)
    return Scheduler(pool, max_batch=max_batch, token_budget=budget, max_blocks=16)


def step(scheduler: Scheduler) -> dict[int, int]:
    """One step in which every request that has read all writes one more token."""
    plan, rows = scheduler.plan(), scheduler.rows
    writes = plan.draws > 0
    rows.tokens[plan.rows[writes], rows.length[plan.rows[writes]]] = 0
    rows.advance(plan, writes.astype(np.int64))
    scheduler.remember(plan)
    return {
        request.id: count
        for request, count in zip(plan.requests, plan.counts.tolist(), strict=True)
    }


def test_writers_go_first_and_prompts_get_the_rest_oldest_first():
    assert share_budget([1, 9, 1, 5], 8) == [1, 6, 1, 0]
    assert share_budget([1, 9, 1, 5], 20) == [1, 9, 1, 5]
    assert share_budget([1, 1, 1], 2) == [1, 1, 0]
    assert share_budget([], 4) == []


def test_a_long_prompt_is_read_in_chunks_while_another_writes():
    scheduler = make(16)
    scheduler.waiting.append(request(1, 3))
    assert step(scheduler) == {1: 3}
    scheduler.waiting.append(request(2, 20))
    assert [step(scheduler) for _step in range(4)] == [
        {1: 1, 2: 7},
        {1: 1, 2: 7},
        {1: 1, 2: 6},
        {1: 1, 2: 1},
    ]


def test_a_request_waits_while_the_batch_is_full():
    scheduler = make(16, max_batch=1)
    scheduler.waiting += [request(1, 2), request(2, 2)]
    assert step(scheduler) == {1: 2}
    assert step(scheduler) == {1: 1}
    scheduler.leave(scheduler.running[0])
    assert step(scheduler) == {2: 2}


def test_the_youngest_gives_its_blocks_back_and_waits_first_in_line():
    scheduler = make(4, budget=32)
    scheduler.waiting += [request(1, 8), request(2, 8)]
    assert step(scheduler) == {1: 8, 2: 8}
    scheduler.waiting.append(request(3, 4))
    assert step(scheduler) == {1: 1}
    assert [each.id for each in scheduler.waiting] == [2, 3]
    assert scheduler.preemptions == 1
    assert scheduler.pool.used_blocks == 3
    oldest = scheduler.running[0]
    scheduler.leave(oldest)
    # What it had computed may still be there: its second block was not reused.
    assert step(scheduler)[2] < 9


def test_guesses_use_only_what_is_left_of_the_budget():
    scheduler = make(16, budget=6)
    scheduler.waiting.append(request(1, 3))
    step(scheduler)
    rows = scheduler.rows
    rows.propose(scheduler.running[0].row, [5, 6, 7])
    scheduler.waiting.append(request(2, 3))
    plan = scheduler.plan()
    assert plan.counts.tolist() == [1 + 2, 3]
    assert plan.draws.tolist() == [1 + 2, 1]
    assert rows.guesses(plan.rows[0], 2) == [5, 6]


def test_nothing_is_guessed_behind_the_last_token_that_may_be_written():
    scheduler = make(16)
    scheduler.waiting.append(request(1, 3, longest=6))
    step(scheduler)
    scheduler.rows.propose(scheduler.running[0].row, [5, 6, 7])
    assert scheduler.plan().draws.tolist() == [1 + 1]  # places 4 and 5 are the last


def test_leaving_gives_everything_back_also_while_waiting():
    scheduler = make(8)
    scheduler.waiting += [request(1, 6), request(2, 30)]
    step(scheduler)
    for each in [*scheduler.running, *scheduler.waiting]:
        scheduler.leave(each)
    assert scheduler.pool.used_blocks == 0
    assert not scheduler.running
    assert not scheduler.waiting
    assert sorted(scheduler.rows.free) == [0, 1, 2, 3]
