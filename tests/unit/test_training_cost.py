"""The count of sums a token agrees with the weights that a model really has."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparrow import Config, Sparrow
from sparrow.cost.training import active_parameters, training_flops_per_token


@pytest.mark.parametrize("name", ["pico", "mini", "smollm2"])
def test_active_parameters_are_the_matrices_that_one_token_meets(name: str) -> None:
    config = Config.preset(name)
    with torch.device("meta"):
        model = Sparrow(config)
    met = (1 + config.num_nextn_predict_layers) * model.lm_head.weight.numel()
    for key, value in model.named_parameters():
        if value.dim() < 2 or key.startswith(("embed_tokens", "lm_head")):
            continue
        share = 1.0
        if ".experts." in key:
            share = config.num_experts_per_tok / config.n_routed_experts
        met += round(value.numel() * share)
    assert active_parameters(config) == met


def test_the_forward_pass_is_a_third_of_what_pytorch_counts() -> None:
    config = Config.preset("smollm2").replace(num_hidden_layers=2, vocab_size=64)
    model = Sparrow(config)
    length = 128
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, length, dtype=torch.long))
    counted = counter.get_total_flops() / length
    # PyTorch counts all pairs of tokens, we count those that may look: about half
    heads = config.num_attention_heads * config.head_dim * config.num_hidden_layers
    pairs = 2 * 2 * heads * length / 2
    ours = training_flops_per_token(config, length) / 3
    assert ours == pytest.approx(counted - pairs, rel=0.01)
