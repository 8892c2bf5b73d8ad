"""A class in one process: everybody is answered, and blocks come back."""

import pytest
import torch

from sparrow import Sparrow
from sparrow.serve import Engine, EngineSettings, Sampling
from sparrow.serve.rehearse import ask_at, ask_in_batches, frames

from .test_model import MLA


@pytest.fixture(scope="module")
def model() -> Sparrow:
    torch.manual_seed(0)
    return Sparrow(MLA).eval()


def greedy(tokens: int) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=tokens)


def test_every_step_has_its_frame_and_the_last_one_is_empty(model: Sparrow) -> None:
    engine = Engine(model, settings=EngineSettings(block_size=4, blocks=16))
    for first in (1, 2, 3):
        engine.submit([first, 5, 6, 7, 8], greedy(6))
    seen = list(frames(engine))
    assert [each.step for each in seen] == list(range(engine.stats().steps + 1))
    assert seen[0].waiting == 3
    assert max(len(each.table) for each in seen) == 3
    assert not seen[-1].table
    assert all(each.blocks == 16 for each in seen)
    assert seen[-1].known


def test_who_asks_later_reads_later_and_nobody_is_forgotten(model: Sparrow) -> None:
    engine, told = Engine(model), list[int]()
    prompts = [[1, 2, 3], [4, 5], [6, 7, 8]]
    times = [0.0, 0.01, 0.2]
    answers = ask_at(engine, prompts, times, greedy(5), told.append)
    assert [each.tokens for each in answers] == [5, 5, 5]
    assert all(each.first_s > 0 for each in answers)
    assert answers[2].pieces_s[0] >= 0.2
    assert told[-1] == 3
    assert engine.stats().blocks_used == 0


def test_a_batch_that_waits_for_its_slowest_needs_more_steps(model: Sparrow) -> None:
    prompts = [[1, 2], [3, 4], [5, 6], [7, 8]]
    samplings = [greedy(n) for n in (2, 12, 2, 12)]

    def steps(size: int) -> int:
        engine = Engine(model, settings=EngineSettings(max_batch=2))
        return ask_in_batches(engine, prompts, samplings, size)

    assert steps(2) == 24
    assert steps(4) < 20
