"""The counts of what attention reads and computes agree with what PyTorch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparrow import Config
from sparrow.cost import attention, measure, published
from sparrow.model.cache import bytes_per_token, features_per_layer
from sparrow.model.three_ways import random_layer, three_ways

CONFIG = Config.preset("pico")
PAST = 9


@pytest.mark.parametrize("way", ["keep all", "rebuild", "absorb"])
def test_the_work_of_a_step_is_what_pytorch_counts(way: str) -> None:
    layer = random_layer(CONFIG, PAST, torch.Generator().manual_seed(0))
    step = three_ways(layer)[way]
    with FlopCounterMode(display=False) as counter:
        step()
    cost: attention.StepCost = getattr(attention, way.split()[0])(CONFIG)
    assert counter.get_total_flops() == cost.flops(PAST)


def test_three_ways_give_the_same_values() -> None:
    layer = random_layer(CONFIG, PAST, torch.Generator().manual_seed(0))
    first, *others = (step() for step in three_ways(layer).values())
    for other in others:
        # float32 in another order of summation, on values below 1
        torch.testing.assert_close(other, first, atol=1e-5, rtol=0)


def test_seconds_of_a_call_are_measured_so_often() -> None:
    calls = []
    measured = measure.call_seconds(lambda: calls.append(1), repeats=6)
    assert (len(calls), measured.n) == (7, 6)
    assert 0 <= measured.low <= measured.median <= measured.high


def test_what_is_kept_is_what_the_cache_holds() -> None:
    kept = features_per_layer(CONFIG)
    assert attention.absorb(CONFIG).numbers_per_past_token == kept
    assert attention.rebuild(CONFIG).numbers_per_past_token == kept


def test_the_published_shape_gives_the_published_ratio() -> None:
    shape = published.V3_SHAPE
    latent = bytes_per_token(shape)
    expanded = attention.expanded_features(shape) * shape.num_hidden_layers * 2
    assert (latent, expanded) == (70_272, 4_997_120)
    assert f"{expanded / latent:.1f}" == "71.1"
    more_work = (
        attention.absorb(shape).flops_per_past_token
        / attention.keep(shape).flops_per_past_token
    )
    assert more_work == pytest.approx(3.4)


def test_smollm2_pays_for_three_heads_of_nine() -> None:
    assert bytes_per_token(Config.preset("smollm2")) == 23_040
