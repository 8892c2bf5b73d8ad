"""The counts of what attention reads and computes agree with what PyTorch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparrow import Config
from sparrow.cost import attention, published
from sparrow.model import mla
from sparrow.model.cache import bytes_per_token, features_per_layer

CONFIG = Config.preset("pico")
PAST = 9


def pieces() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    heads, c = CONFIG.num_attention_heads, CONFIG.kv_lora_rank
    n, r, v = (
        CONFIG.qk_nope_head_dim,
        CONFIG.qk_rope_head_dim,
        CONFIG.v_head_dim,
    )
    return {
        "q_nope": torch.randn(1, 1, heads, n, generator=rng),
        "q_rope": torch.randn(1, 1, heads, r, generator=rng),
        "latent": torch.randn(1, PAST, c, generator=rng),
        "k_rope": torch.randn(1, PAST, r, generator=rng),
        "w_key": torch.randn(heads, n, c, generator=rng),
        "w_value": torch.randn(heads, v, c, generator=rng),
    }


def mix_values(weights: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bhqk,bkhv->bqhv", weights, value)


@pytest.mark.parametrize("form", ["keep", "rebuild", "absorb"])
def test_the_work_of_a_step_is_what_pytorch_counts(form: str) -> None:
    p = pieces()
    kept = mla.expand(p["latent"], p["w_key"], p["w_value"])
    with FlopCounterMode(display=False) as counter:
        if form == "absorb":
            scores = mla.absorbed_scores(
                p["q_nope"], p["q_rope"], p["latent"], p["k_rope"], p["w_key"], 1.0
            )
            mla.absorbed_context(scores, p["latent"], p["w_value"])
        else:
            if form == "rebuild":
                kept = mla.expand(p["latent"], p["w_key"], p["w_value"])
            scores = mla.expanded_scores(
                p["q_nope"], p["q_rope"], kept.k_nope, p["k_rope"], 1.0
            )
            mix_values(scores, kept.value)
    cost: attention.StepCost = getattr(attention, form)(CONFIG)
    assert counter.get_total_flops() == cost.flops(PAST)


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
