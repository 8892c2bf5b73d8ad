"""A configuration that cannot be is refused in one sentence that names the field."""

import dataclasses

import pytest

from sparrow import Config
from sparrow.config import PRESETS, Yarn
from sparrow.errors import ConfigError

PICO = Config.preset("pico")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_configuration(name):
    assert isinstance(Config.preset(name), Config)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match='no preset "tiny".*pico, mini, smollm2'):
        Config.preset("tiny")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attention": "mha"}, 'attention must be one of mla, gqa; got "mha"'),
        ({"feed_forward": "none"}, "feed_forward must be one of moe, dense"),
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"hidden_size": -8}, "hidden_size must be at least 1, got -8"),
        ({"kv_lora_rank": 0}, "kv_lora_rank must be at least 1"),
        ({"q_lora_rank": 0}, "q_lora_rank must be at least 1"),
        ({"qk_rope_head_dim": 7}, "qk_rope_head_dim must be even"),
        ({"n_group": 3}, "n_group must divide n_routed_experts; got 3 and 8"),
        ({"n_group": 8, "topk_group": 8}, "each of the 8 groups needs at least 2"),
        ({"n_group": 2, "topk_group": 3}, r"topk_group must be in 1\.\.2, got 3"),
        ({"num_experts_per_tok": 9}, r"num_experts_per_tok must be in 1\.\.8, got 9"),
        ({"first_k_dense_replace": 5}, r"first_k_dense_replace must be in 0\.\.4"),
        ({"n_shared_experts": -1}, "n_shared_experts must be at least 0"),
        ({"num_nextn_predict_layers": -1}, "num_nextn_predict_layers must be at"),
        ({"hiden_size": 4}, 'field must be one of .*hidden_size.*got "hiden_size"'),
        (
            {"attention": "gqa", "num_key_value_heads": 3, "head_dim": 8},
            "num_key_value_heads must divide num_attention_heads; got 3 and 4",
        ),
        (
            {"attention": "gqa", "num_key_value_heads": 2, "head_dim": 5},
            "head_dim must be even",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        PICO.replace(**change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"factor": 0.5}, "factor must be at least 1"),
        ({"original_max_position_embeddings": 0}, "must be at least 1, got 0"),
        ({"beta_fast": 1.0}, "beta_fast must be above beta_slow"),
    ],
)
def test_a_stretch_that_cannot_be_is_refused(change, sentence):
    values = {"factor": 4.0, "original_max_position_embeddings": 128}
    with pytest.raises(ConfigError, match=sentence):
        Yarn(**{**values, **change})


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PICO.hidden_size = 1


def test_replace_leaves_the_original_alone():
    assert PICO.replace(hidden_size=64).hidden_size == 64
    assert PICO.hidden_size == 128
