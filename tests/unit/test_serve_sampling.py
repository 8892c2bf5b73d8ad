"""A row's token depends on its seed, place and scores, not on its neighbours."""

import numpy as np
import pytest
import torch

from sparrow.errors import UsageError
from sparrow.serve.sampling import Sampling, draw, explain, judge, uniform


def numbers(seeds: list[int], places: list[int]) -> torch.Tensor:
    found = uniform(np.array(seeds, np.uint64), np.array(places, np.uint64))
    return torch.from_numpy(found)


def test_a_number_depends_on_seed_and_place_only():
    alone = numbers([5], [9])
    crowd = numbers([1, 5, 5], [9, 9, 8])
    assert alone[0] == crowd[1]
    assert len(set(crowd.tolist())) == 3


def test_the_numbers_look_uniform_along_seeds_and_along_places():
    many = list(range(20_000))
    for found in (numbers(many, [3] * 20_000), numbers([3] * 20_000, many)):
        counts = torch.histc(found.float(), bins=20, min=0, max=1)
        assert found.min() >= 0
        assert found.max() < 1
        # 19 degrees of freedom: 43.8 is passed by one in a thousand; seeds are fixed.
        assert float(((counts - 1000) ** 2 / 1000).sum()) < 43.8
        # Neighbours know nothing of each other: the deviation of r is 1/141.
        assert (
            abs(float(torch.corrcoef(torch.stack((found[1:], found[:-1])))[0, 1]))
            < 0.03
        )


def test_a_row_draws_the_same_token_alone_and_in_a_crowd():
    scores = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    temperature = torch.tensor([0.0, 1.0, 0.7, 2.0, 1.0, 0.0])
    top_p = torch.tensor([1.0, 1.0, 0.5, 0.9, 0.2, 0.3])
    number = numbers([1] * 6, list(range(6)))
    hot = temperature.nonzero()[:, 0]
    together = draw(judge(scores), hot, temperature[hot], top_p[hot], number[hot])
    for row in range(6):
        one = slice(row, row + 1)
        own = hot[hot == row]
        how = temperature[own], top_p[own], number[own]
        alone = draw(judge(scores[one]), torch.zeros_like(own), *how)
        assert alone == together[one]
    assert together[0] == scores[0].argmax()


def test_top_p_keeps_the_most_likely_tokens_only():
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().repeat(4000, 1)
    number = numbers([0] * 4000, list(range(4000)))
    how = torch.ones(4000), torch.full((4000,), 0.6), number
    drawn = draw(judge(scores), torch.arange(4000), *how)
    counts = torch.bincount(drawn, minlength=4)
    assert counts[2:].sum() == 0
    # 5/8 of 4000 are 2500, with a deviation of 31.
    assert abs(int(counts[0]) - 2500) < 100


def test_a_token_is_explained_at_temperature_one_the_most_likely_first():
    scores = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]).log() + 5
    logprobs, (top, others) = explain(scores, torch.tensor([2, 0]), 2)
    assert logprobs == pytest.approx(np.log([0.3, 0.2]), abs=1e-6)
    assert top[0] == (1, pytest.approx(np.log(0.6), abs=1e-6))
    assert top[1] == (2, pytest.approx(np.log(0.3), abs=1e-6))
    assert others[0] == (2, pytest.approx(np.log(0.6), abs=1e-6))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ({"temperature": float("inf")}, "temperature must be at least 0, got inf"),
        ({"top_p": 0.0}, "top_p must be in"),
        ({"top_p": 1.5}, "top_p must be in"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
        ({"logprobs": 21}, "logprobs must be in 0..20, got 21"),
    ],
)
def test_a_number_out_of_range_is_refused(asked, sentence):
    with pytest.raises(UsageError, match=sentence):
        Sampling(**asked)
