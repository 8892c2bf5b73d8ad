"""Our GQA + dense model and transformers' LlamaForCausalLM are the same function."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from sparrow import Config, Sparrow

TOLERANCE = 1e-5  # as in test_deepseek_v3.py

SMALL = Config(
    attention="gqa",
    feed_forward="dense",
    vocab_size=61,
    hidden_size=36,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=6,
    intermediate_size=48,
    max_position_embeddings=64,
)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("key_value_heads", [1, 2, 6])
def test_transformers_opens_our_checkpoint(tied, key_value_heads, tmp_path):
    config = SMALL.replace(
        tie_word_embeddings=tied, num_key_value_heads=key_value_heads
    )
    ours = Sparrow(config.replace(initializer_range=0.2)).eval()
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(theirs, LlamaForCausalLM)
    ids = torch.randint(61, (2, 20))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )


def test_we_open_their_checkpoint(tmp_path):
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=61,
            hidden_size=36,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            intermediate_size=48,
            initializer_range=0.2,
            rope_parameters={"rope_type": "default", "rope_theta": 50_000.0},
        )
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours = Sparrow.from_pretrained(tmp_path).eval()
    assert ours.config.rope_theta == 50_000.0
    ids = torch.randint(61, (2, 20))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )
