"""Models that train side by side get the same seconds; twins do the same work."""

import itertools
import signal
from types import SimpleNamespace

import pytest
import torch

from sparrow import Config
from sparrow.cost.training import active_parameters
from sparrow.data.stream import Stream
from sparrow.errors import ConfigError
from sparrow.model import Sparrow
from sparrow.train import side_by_side
from sparrow.train.prepare import Lessons, Part
from sparrow.train.recipe import Recipe
from sparrow.train.twins import dense_twin

TINY = Config(
    vocab_size=24,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=32,
    kv_lora_rank=8,
    qk_nope_head_dim=4,
    qk_rope_head_dim=4,
    v_head_dim=4,
    n_routed_experts=4,
    n_shared_experts=1,
    num_experts_per_tok=2,
    moe_intermediate_size=12,
    first_k_dense_replace=1,
    num_nextn_predict_layers=1,
)
DOCUMENTS = [[1 + (start + step) % 20 for step in range(30)] for start in range(8)]


def lessons() -> Lessons:
    stream = Stream(DOCUMENTS, length=16, batch_size=4, end=0, seed=0)
    held_out = {"count": Part(tuple(map(tuple, DOCUMENTS[:2])), 60)}
    return Lessons(SimpleNamespace(end=0, vocab_size=24), stream, held_out)


def recipe(model: Config = TINY, **changes) -> Recipe:
    return Recipe(
        model=model, length=16, batch_size=4, steps=100, warmup_steps=5, **changes
    )


@pytest.mark.parametrize("config", [TINY, Config.preset("pico"), Config.preset("mini")])
def test_a_twin_has_no_experts_and_the_same_work_for_each_token(config):
    twin = dense_twin(config)
    assert twin.feed_forward == "dense"
    layers = config.num_hidden_layers + config.num_nextn_predict_layers
    apart = abs(active_parameters(twin) - active_parameters(config))
    # half a feature of width in three matrices of every layer
    assert apart <= 1.5 * config.hidden_size * layers


def test_a_twin_has_fewer_parameters_in_all():
    assert (
        Sparrow(dense_twin(TINY)).count_parameters() < Sparrow(TINY).count_parameters()
    )


def test_a_dense_model_has_no_twin():
    with pytest.raises(ConfigError, match="dense already"):
        dense_twin(dense_twin(TINY))


def test_all_get_the_same_seconds_and_the_schedule_follows_the_clock(monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * 0.01)
    monkeypatch.setattr(side_by_side, "time", clock)  # every step takes 0.01 s
    monkeypatch.setattr(side_by_side, "TURN_S", 0.05)
    told = []
    names = {"experts": recipe(), "twin": recipe(dense_twin(TINY))}
    found = side_by_side.side_by_side(names, lessons(), seconds=0.4, watch=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(sum(each.seconds for each in found.values()))
    for each in found.values():
        assert each.seconds == pytest.approx(0.4, abs=0.011)
        rates = [step.learning_rate for step in each.learned]
        peak = rates.index(max(rates))
        assert rates[0] < rates[peak] == each.recipe.learning_rate
        assert rates[-1] < rates[peak]
        assert each.tokens == len(rates) * 64
        assert not each.model.training
    assert len(found["experts"].max_violations) == len(found["experts"].learned)
    assert found["twin"].max_violations == []


def test_models_of_one_seed_begin_alike():
    found = side_by_side.side_by_side(
        {"a": recipe(), "b": recipe(bias_speed=0.0)}, lessons(), seconds=0.0
    )
    pairs = zip(
        found["a"].model.parameters(), found["b"].model.parameters(), strict=True
    )
    assert all(torch.equal(one, other) for one, other in pairs)


def test_every_held_out_part_gets_a_score():
    found = side_by_side.side_by_side({"a": recipe()}, lessons(), seconds=0.0)
    scores = side_by_side.score(found["a"], lessons())
    assert set(scores) == {"count"}
    assert scores["count"].text_bytes == 60
    assert scores["count"].bits_per_byte > 0


def test_an_interrupt_ends_the_turns(monkeypatch):
    monkeypatch.setattr(side_by_side, "TURN_S", 0.01)
    found = side_by_side.side_by_side(
        {"a": recipe()},
        lessons(),
        seconds=600,
        watch=lambda _seconds: signal.raise_signal(signal.SIGINT),
    )
    assert 0 < found["a"].seconds < 60
