"""Batched decoding writes what one request alone would write."""

import pytest
import torch

from sparrow import Sparrow, decode
from sparrow.decode import generate, sample, stream
from sparrow.errors import PromptError, UsageError

from .test_model import GQA, MLA


@pytest.fixture(scope="module", params=["mla", "gqa"])
def model(request):
    torch.manual_seed(0)
    return Sparrow({"mla": MLA, "gqa": GQA}[request.param]).eval()


@pytest.fixture(autouse=True, params=["joined from one row", "never joined"])
def join_from(request, monkeypatch):
    rows = {"joined from one row": 1, "never joined": 10**9}[request.param]
    monkeypatch.setattr(decode, "JOIN_FROM", rows)


PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [1, 2, 3], [11, 12]]


@torch.no_grad()
def by_hand(model: Sparrow, prompt: list[int], new: int) -> list[int]:
    """Greedy decoding with no cache and no batch: the obvious twin."""
    written = list(prompt)
    for _step in range(new):
        written.append(int(model(torch.tensor([written]))[0, -1].argmax()))
    return written[len(prompt) :]


def test_a_batch_of_ragged_prompts_writes_what_each_would_alone(model):
    batch = generate(model, PROMPTS, max_new_tokens=9, temperature=0)
    for prompt, completion in zip(PROMPTS, batch, strict=True):
        assert completion.tokens == by_hand(model, prompt, 9)
        assert not completion.stopped


def test_a_stream_writes_the_same(model):
    for prompt in PROMPTS:
        tokens = list(stream(model, prompt, max_new_tokens=9, temperature=0))
        assert tokens == by_hand(model, prompt, 9)


def test_finished_sequences_leave_and_the_others_go_on(model):
    alone = [by_hand(model, prompt, 12) for prompt in PROMPTS]
    stop = alone[0][2]
    batch = generate(model, PROMPTS, max_new_tokens=12, temperature=0, stop=[stop])
    for expected, completion in zip(alone, batch, strict=True):
        end = expected.index(stop) + 1 if stop in expected else 12
        assert completion.tokens == expected[:end]
        assert completion.stopped == (stop in expected)
    assert any(each.stopped for each in batch)


def test_logprobs_are_those_of_the_tokens_written(model):
    generator = torch.Generator().manual_seed(0)
    [completion] = generate(model, [PROMPTS[0]], max_new_tokens=6, generator=generator)
    text = torch.tensor([PROMPTS[0] + completion.tokens])
    with torch.no_grad():
        logprob = model(text).log_softmax(-1)[0, 2:-1]
    expected = logprob.gather(-1, text[0, 3:, None])[:, 0]
    torch.testing.assert_close(
        torch.tensor(completion.logprobs), expected, atol=1e-5, rtol=0
    )


def test_the_same_seed_writes_the_same_text(model):
    def write(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [
            each.tokens
            for each in generate(model, PROMPTS, max_new_tokens=8, generator=generator)
        ]

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_samples_follow_the_distribution():
    chance = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = sample(
        chance.log().expand(20_000, 4), generator=torch.Generator().manual_seed(0)
    )
    counts = torch.bincount(draws, minlength=4)
    chi_square = ((counts - 20_000 * chance) ** 2 / (20_000 * chance)).sum()
    assert chi_square < 16.3  # 3 degrees of freedom, p = 0.001


def test_temperature_zero_takes_the_most_likely():
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert sample(logits, temperature=0).tolist() == [1, 0]


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(5_000, 4)
    generator = torch.Generator().manual_seed(0)
    drawn = sample(logits, top_p=0.7, generator=generator)
    assert set(drawn.tolist()) == {0, 1}
    drawn = sample(logits, top_p=0.5, generator=generator)
    assert set(drawn.tolist()) == {0}


def test_nothing_asked_gives_nothing(model):
    assert generate(model, [], max_new_tokens=5) == []
    [completion] = generate(model, [[1]], max_new_tokens=0)
    assert completion.tokens == []


@pytest.mark.parametrize(
    ("prompt", "new", "sentence"),
    [
        ([], 4, "a prompt is empty"),
        ([1] * 62, 4, "has 62 tokens and 4 more are asked for"),
        ([1, 41], 4, "token 41 is not in the vocabulary, whose ids are 0 to 40"),
        ([-1], 4, "token -1 is not in the vocabulary"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused_in_one_sentence(
    model, prompt, new, sentence
):
    with pytest.raises(PromptError, match=sentence):
        generate(model, [[1], prompt], max_new_tokens=new)
    with pytest.raises(PromptError, match=sentence):
        list(stream(model, prompt, max_new_tokens=new))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"max_new_tokens": -1}, "max_new_tokens must be at least 0, got -1"),
        ({"temperature": -0.5}, "temperature must be at least 0, got -0.5"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ({"top_p": 0}, r"top_p must be in \(0, 1\], got 0"),
        ({"top_p": 1.5}, r"top_p must be in \(0, 1\], got 1.5"),
    ],
)
def test_a_setting_out_of_range_is_refused(model, setting, sentence):
    with pytest.raises(UsageError, match=sentence):
        generate(model, [[1]], **{"max_new_tokens": 4, **setting})
