"""Guesses save time and change nothing: neither the text nor its distribution."""

import pytest
import torch

from sparrow import Sparrow
from sparrow.serve import Engine, EngineSettings, EngineStats, Sampling
from sparrow.serve.speculate import Echo, accept

from .test_model import MLA

SMALL = MLA.replace(vocab_size=7, num_nextn_predict_layers=1)


def test_proposals_are_kept_up_to_the_first_that_did_not_come_true():
    assert accept([4, 5, 6], [4, 5]) == [4, 5, 6]
    assert accept([4, 5, 6], [4, 9]) == [4, 5]
    assert accept([4, 5, 6], [9, 5]) == [4]
    assert accept([4], []) == [4]


def test_an_echo_proposes_what_came_after_the_same_tokens_the_last_time():
    echo = Echo()
    assert echo.propose([1, 2, 3, 4, 5], 2) == []
    assert echo.propose([1, 2, 3, 4, 5, 1, 2, 3], 2) == [4, 5]
    assert echo.propose([1, 2, 3, 4, 5, 1, 2, 3, 9, 1, 2, 3], 3) == [9, 1, 2]
    assert Echo().propose([1, 2], 3) == []


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return Sparrow(SMALL).eval()


def written(
    model: Sparrow, speculation: str, prompts: list[list[int]]
) -> tuple[list[list[int]], EngineStats]:
    settings = EngineSettings(speculation=speculation, max_waiting=len(prompts))
    engine = Engine(model, settings=settings)
    for seed, prompt in enumerate(prompts):
        engine.submit(prompt, Sampling(max_tokens=6, seed=seed))
    found: dict[int, list[int]] = {}
    while engine.has_work:
        for output in engine.step():
            found.setdefault(output.request, []).extend(output.tokens)
    return [found[each] for each in sorted(found)], engine.stats()


@pytest.mark.parametrize("speculation", ["mtp", "ngram"])
def test_a_seeded_text_is_the_same_with_and_without_guesses(model, speculation):
    prompts = [[1, 2, 3, 1, 2, 3, 1, 2]] * 200
    plain, _none = written(model, "none", prompts)
    guessed, stats = written(model, speculation, prompts)
    assert guessed == plain
    assert 0 < stats.accepted < stats.proposed


@pytest.mark.parametrize("speculation", ["mtp", "ngram"])
def test_speculation_keeps_the_distribution(model, speculation):
    prompt = [1, 2, 3, 1, 2, 3, 1, 2]
    texts, stats = written(model, speculation, [prompt] * 2000)
    assert 0 < stats.accepted < stats.proposed
    # What the model says about the first two tokens, with neither engine nor cache.
    with torch.no_grad():
        first = model(torch.tensor([prompt]))[0, -1].softmax(-1)  # [V]
        longer = torch.tensor([[*prompt, token] for token in range(7)])
        second = model(longer)[:, -1].softmax(-1)  # [V, V]
    expected = (first[:, None] * second * len(texts)).flatten()
    seen = torch.tensor([7 * text[0] + text[1] for text in texts])
    counts = torch.bincount(seen, minlength=49)
    rare = expected < 5  # too few for the test each: taken as one
    expected = torch.cat((expected[~rare], expected[rare].sum()[None]))
    counts = torch.cat((counts[~rare], counts[rare].sum()[None]))
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    # Mean plus four deviations; seeds are fixed, so it holds or it does not.
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5
