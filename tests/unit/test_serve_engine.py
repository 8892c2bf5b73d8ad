"""Whoever else is served, a request gets the tokens that it would get alone."""

import random
from collections import defaultdict
from dataclasses import dataclass

import pytest
import torch

from sparrow import Config, Sparrow, decode, quant
from sparrow.errors import ConfigError, PromptError, QueueFull
from sparrow.model.cache import bytes_per_token
from sparrow.serve import (
    Engine,
    EngineSettings,
    Output,
    Sampling,
    blocks,
    runner,
    speculate,
)

from .test_model import GQA, MLA

CONFIGS = {"mla": MLA.replace(num_nextn_predict_layers=1), "gqa": GQA}
# 200 in all: each of the two models in each of the two ways gets a quarter of them.
SCHEDULES = {
    ("mla", "joined"): range(50),
    ("mla", "the model itself"): range(50, 100),
    ("gqa", "joined"): range(100, 150),
    ("gqa", "the model itself"): range(150, 200),
}
GREEDY = 0.0
# Sums in another order differ by 1e-6 here. A choice between two tokens, or between two
# experts, that is closer than this could fall either way: such a prompt proves nothing.
CLEAR = 1e-4


def make(config: Config) -> Sparrow:
    torch.manual_seed(0)
    return Sparrow(config).eval()


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    return make(CONFIGS[request.param])


@pytest.fixture(params=["joined", "the model itself"])
def way(request, monkeypatch):
    if request.param == "the model itself":
        monkeypatch.setattr(runner, "is_original", lambda model: False)
    return request.param


@dataclass(frozen=True)
class Asked:
    """A prompt, and what one request alone gets."""

    prompt: list[int]
    expected: list[int]


@torch.no_grad()
def margin(model: Sparrow, asked: Asked) -> float:
    """By how much the closest choice was won: between tokens, and between experts."""
    text = torch.tensor([asked.prompt + asked.expected])
    best = model(text)[0, len(asked.prompt) - 1 : -1].topk(2).values
    margins = [float((best[:, 0] - best[:, 1]).min())]
    for gate, routing in zip(model.gates(), model.routings(), strict=False):
        chosen = routing.experts.shape[1]
        choice = (routing.scores + gate.e_score_correction_bias).topk(chosen + 1).values
        margins.append(float((choice[:, -2] - choice[:, -1]).min()))
    return min(margins)


@pytest.fixture(scope="module")
def questions(model) -> list[Asked]:
    """Prompts that share beginnings, each with one clear answer."""
    draw = random.Random(0)
    stems = [[draw.randrange(41) for _token in range(12)] for _stem in range(4)]
    found = []
    for number in range(30):
        stem = stems[number % 4][: draw.randrange(13)]
        prompt = stem + [draw.randrange(41) for _token in range(draw.randrange(1, 14))]
        written = decode.generate(model, [prompt], max_new_tokens=8, temperature=GREEDY)
        asked = Asked(prompt, written[0].tokens)
        if margin(model, asked) > CLEAR:
            found.append(asked)
    assert len(found) >= 20
    return found


def run(engine: Engine) -> dict[int, list[Output]]:
    """Step until nothing is left to do."""
    found: dict[int, list[Output]] = defaultdict(list)
    while engine.has_work:
        for output in engine.step():
            found[output.request].append(output)
    return found


def tokens(outputs: list[Output]) -> list[int]:
    return [token for output in outputs for token in output.tokens]


def serve(model: Sparrow, questions: list[Asked], schedule: int, way: str) -> Engine:
    """Requests come at random moments, some go; the rest get what they would alone."""
    draw = random.Random(schedule)
    ways = ["none", "ngram", "mtp"][: 3 if len(model.mtp) else 2]
    size = draw.choice([2, 4, 8])
    engine = Engine(
        model,
        settings=EngineSettings(
            block_size=size,
            blocks=draw.choice([32, 48, 96]) // size,
            max_batch=draw.choice([2, 4, 8]),
            token_budget=draw.choice([6, 16, 48]),
            speculation=draw.choice(ways),
        ),
    )
    left = [draw.choice(questions) for _request in range(draw.randrange(4, 9))]
    asked: dict[int, Asked] = {}
    got: dict[int, list[int]] = defaultdict(list)
    aborted = set()
    while left or engine.has_work:
        while left and draw.random() < 0.7:
            question = left.pop()
            new = Sampling(temperature=GREEDY, max_tokens=8)
            asked[engine.submit(question.prompt, new)] = question
        if asked and draw.random() < 0.02:
            gone = draw.choice(list(asked))
            engine.abort(gone)
            aborted.add(gone)
        for output in engine.step():
            got[output.request] += output.tokens
    for number, question in asked.items():
        if number not in aborted:
            assert got[number] == question.expected, (schedule, number, way)
    stats = engine.stats()
    assert (stats.blocks_used, stats.running, stats.waiting) == (0, 0, 0)
    assert engine.pool.readers == [0] * stats.blocks_total
    return engine


def test_200_random_schedules_write_what_each_request_would_alone(
    model, questions, way, monkeypatch
):
    monkeypatch.setattr(speculate, "NGRAM", 1)  # guess often: few texts here repeat
    schedules = SCHEDULES[model.config.attention, way]
    stats = [serve(model, questions, each, way).stats() for each in schedules]
    # Everything that could go wrong has happened, many times.
    assert sum(each.preemptions for each in stats) > 20
    assert sum(each.cached_tokens for each in stats) > 100
    assert sum(each.accepted for each in stats) > 0
    assert sum(each.proposed - each.accepted for each in stats) > 20


def test_collisions_of_hashes_change_nothing(model, questions, monkeypatch):
    monkeypatch.setattr(blocks, "content_hash", lambda before, tokens: sum(tokens) % 3)
    stats = [
        serve(model, questions, schedule, "collisions").stats()
        for schedule in range(20)
    ]
    assert sum(each.cached_tokens for each in stats) > 0


def test_scores_are_those_of_the_model_itself(model, monkeypatch):
    prompts = [[row, *range(5, 5 + 3 * row)] for row in range(6)]
    top = []
    for is_joined in (True, False):
        if not is_joined:
            monkeypatch.setattr(runner, "is_original", lambda model: False)
        engine = Engine(model, settings=EngineSettings(block_size=4, token_budget=9))
        assert (engine.runner.joined is not None) == is_joined
        for prompt in prompts:
            engine.submit(
                prompt, Sampling(temperature=GREEDY, max_tokens=4, logprobs=5)
            )
        top.append([each.logprobs for found in run(engine).values() for each in found])
    # float32 sums in another order, some layers deep.
    torch.testing.assert_close(top[0], top[1], atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "scheme",
    [quant.SCHEMES["int8"], quant.SCHEMES["int8-dynamic"], quant.Scheme(bits=4)],
    ids=["int8", "int8-dynamic", "int4"],
)
def test_codes_are_joined_and_score_as_the_quantized_model_does(scheme, monkeypatch):
    few_bits = quant.quantize(make(CONFIGS["gqa"]), scheme)
    prompts = [[row, *range(5, 5 + 3 * row)] for row in range(6)]
    top = []
    for is_joined in (True, False):
        if not is_joined:
            monkeypatch.setattr(runner.joined, "can_join", lambda model: False)
        engine = Engine(few_bits)
        assert (engine.runner.joined is not None) == is_joined
        for prompt in prompts:
            asked = Sampling(temperature=GREEDY, max_tokens=1, logprobs=0)
            engine.submit(prompt, asked)
        top.append([each.logprobs for found in run(engine).values() for each in found])
    # Activations are rounded, and a sum in another order may fall on the other side.
    torch.testing.assert_close(top[0], top[1], atol=5e-3, rtol=0)


def test_latents_of_a_quantized_model_are_read_by_the_model_itself():
    few_bits = quant.quantize(make(CONFIGS["mla"]), "int8")
    assert Engine(few_bits).runner.joined is None


def test_a_seeded_request_writes_the_same_in_a_crowd_that_pushes_it_out(model):
    asked = Sampling(temperature=1.0, top_p=0.9, seed=11, max_tokens=20)
    alone = Engine(model)
    alone.submit([1, 2, 3], asked)
    (expected,) = run(alone).values()
    small = EngineSettings(block_size=2, blocks=24, max_batch=5, token_budget=16)
    crowd = Engine(model, settings=small)
    for row in range(6):
        crowd.submit([row, 4, 5, 6, 7], Sampling(max_tokens=20))
    number = crowd.submit([1, 2, 3], asked)
    assert tokens(run(crowd)[number]) == tokens(expected)
    assert crowd.stats().preemptions > 0


def test_log_probabilities_and_alternatives_are_the_models_own(model):
    engine = Engine(model)
    engine.submit([1, 2, 3], Sampling(temperature=GREEDY, max_tokens=3, logprobs=2))
    (outputs,) = run(engine).values()
    text = torch.tensor([[1, 2, 3, *tokens(outputs)]])
    with torch.no_grad():
        expected = model(text)[0, 2:-1].log_softmax(-1)
    for output, row in zip(outputs, expected, strict=True):
        value, token = row.max(-1)
        assert output.tokens == [int(token)]
        assert output.logprobs == [pytest.approx(float(value), abs=1e-4)]
        assert output.top is not None
        assert [each for each, _logprob in output.top[0]] == row.topk(
            2
        ).indices.tolist()


def test_a_text_ends_with_its_stop_token_or_at_its_length(model):
    (full,) = decode.generate(model, [[1, 2, 3]], max_new_tokens=8, temperature=GREEDY)
    stop = full.tokens[3]
    end = full.tokens.index(stop) + 1
    for settings, sampling in (
        ((), Sampling(temperature=GREEDY, stop_ids=(stop,))),
        ((stop,), Sampling(temperature=GREEDY)),
    ):
        engine = Engine(model, end_ids=settings)
        engine.submit([1, 2, 3], sampling)
        (outputs,) = run(engine).values()
        assert tokens(outputs) == full.tokens[:end]
        assert [each.finished for each in outputs] == [None] * (end - 1) + ["stop"]
    engine = Engine(model)
    engine.submit([1, 2, 3], Sampling(temperature=GREEDY, max_tokens=1_000_000))
    (outputs,) = run(engine).values()
    assert len(tokens(outputs)) == model.config.max_position_embeddings - 3
    assert outputs[-1].finished == "length"


def test_the_same_prompt_is_read_once(model):
    engine = Engine(model, settings=EngineSettings(block_size=4))
    prompt = list(range(18))
    for _time in range(2):
        engine.submit(prompt, Sampling(max_tokens=2))
        run(engine)
    assert engine.stats().cached_tokens == 16


def test_an_aborted_request_frees_its_blocks_at_once(model):
    engine = Engine(model, settings=EngineSettings(block_size=4, max_batch=1))
    running = engine.submit(list(range(10)), Sampling())
    waiting = engine.submit([1], Sampling())
    engine.step()
    assert engine.page_table() == {running: engine.page_table()[running]}
    assert engine.stats().blocks_used == len(engine.page_table()[running]) == 3
    engine.abort(waiting)
    engine.abort(running)
    engine.abort(running)
    assert engine.stats().blocks_used == 0
    assert not engine.has_work
    assert engine.step() == []


def test_a_full_queue_refuses_and_says_when_to_come_back(model):
    engine = Engine(model, settings=EngineSettings(max_waiting=2))
    for _request in range(2):
        engine.submit([1], Sampling(max_tokens=1))
    with pytest.raises(QueueFull, match="2 requests are waiting") as refused:
        engine.submit([1], Sampling())
    assert refused.value.retry_after_s >= 1
    engine.step()
    engine.submit([1], Sampling())


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ([], "a prompt is empty"),
        ([1] * 64, "has 64 tokens, and 64 is the most"),
        ([41], "token 41 is not in the vocabulary"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused(model, prompt, sentence):
    engine = Engine(model)
    with pytest.raises(PromptError, match=sentence):
        engine.submit(prompt, Sampling())
    assert not engine.has_work


def test_a_prompt_that_could_never_fit_the_blocks_is_refused(model):
    engine = Engine(model, settings=EngineSettings(block_size=4, blocks=5))
    with pytest.raises(PromptError, match="20 is the most for prompt and answer"):
        engine.submit([1] * 20, Sampling())
    engine.submit([1] * 19, Sampling())
    ((output,),) = run(engine).values()
    assert output.finished == "length"


def test_the_cache_needs_the_bytes_that_a_token_costs(model):
    settings = EngineSettings(block_size=4, blocks=10)
    engine = Engine(model, settings=settings)
    assert engine.runner.pages.bytes == 40 * bytes_per_token(model.config, 4)
    if len(model.mtp):
        further = EngineSettings(block_size=4, blocks=10, speculation="mtp")
        layers = model.config.replace(num_hidden_layers=3)
        pages = Engine(model, settings=further).runner.pages
        assert pages.bytes == 40 * bytes_per_token(layers, 4)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"block_size": 0}, "block_size must be at least 1, got 0"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"max_batch": 0}, "max_batch must be at least 1, got 0"),
        ({"token_budget": 0}, "token_budget must be at least 1, got 0"),
        ({"max_waiting": -1}, "max_waiting must be at least 0, got -1"),
        (
            {"speculation": "magic"},
            'speculation must be one of none, ngram, mtp; got "m',
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(asked, sentence):
    with pytest.raises(ConfigError, match=sentence):
        EngineSettings(**asked)


def test_a_model_without_mtp_cannot_guess_with_it():
    with pytest.raises(ConfigError, match="no MTP module"):
        Engine(make(GQA), settings=EngineSettings(speculation="mtp"))
