"""Our MLA + MoE model and transformers' DeepseekV3ForCausalLM are the same function."""

import pytest
import torch
from transformers import AutoModelForCausalLM, DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.modeling_layers import MtpModel

from sparrow import Config, Sparrow
from sparrow.config import Yarn
from sparrow.model import moe, weights

# float32 rounds at about 1e-7 of values near 1; a dozen layers of sums leave 1e-6
# to 5e-6 between two orders of summation. Logits here are below 5.
TOLERANCE = 1e-5

SMALL = Config(
    vocab_size=61,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=48,
    max_position_embeddings=64,
    kv_lora_rank=12,
    qk_nope_head_dim=8,
    qk_rope_head_dim=6,
    v_head_dim=10,
    n_routed_experts=8,
    n_shared_experts=1,
    num_experts_per_tok=3,
    moe_intermediate_size=20,
    first_k_dense_replace=1,
    routed_scaling_factor=2.5,
)
YARN = Yarn(factor=4.0, original_max_position_embeddings=16)

SHAPES = {
    "q_lora_rank unset": SMALL,
    "q_lora_rank set": SMALL.replace(q_lora_rank=14),
    "four groups": SMALL.replace(n_group=4, topk_group=2),
    "no dense layer": SMALL.replace(first_k_dense_replace=0),
    "no shared expert": SMALL.replace(n_shared_experts=0),
    "two shared experts": SMALL.replace(n_shared_experts=2),
    "weights not normalised": SMALL.replace(norm_topk_prob=False),
    "one expert a token": SMALL.replace(num_experts_per_tok=1),
    "yarn": SMALL.replace(yarn=YARN),
    "yarn, all of it": SMALL.replace(
        yarn=YARN, q_lora_rank=14, n_group=4, topk_group=2, first_k_dense_replace=0
    ),
    "dense": SMALL.replace(feed_forward="dense"),
    "tied": SMALL.replace(tie_word_embeddings=True),
    "own norm epsilon": SMALL.replace(rms_norm_eps=1e-3),
}


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Weights large enough that a wrong part shows, biases of both signs."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if "e_score_correction_bias" in name:
            value.normal_(std=0.5, generator=generator)
        elif value.dim() > 1:
            value.normal_(std=0.2, generator=generator)
        elif "norm" in name:
            value.uniform_(0.5, 1.5, generator=generator)


def random_sparrow(config: Config) -> Sparrow:
    model = Sparrow(config).eval()
    randomise(model)
    return model


def tokens(config: Config, batch: int = 2, length: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(config.vocab_size, (batch, length), generator=generator)


def reference_class(config: Config) -> DeepseekV3ForCausalLM:
    """transformers' model of the same shape, made by itself, not from our file."""
    described = weights.published.describe(config)
    described.pop("architectures")
    theta, stretch = described.pop("rope_theta"), described.pop("rope_scaling")
    rope = {"rope_theta": theta, "rope_type": "default", **(stretch or {})}
    return DeepseekV3ForCausalLM(
        DeepseekV3Config(**described, rope_parameters=rope)
    ).eval()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("name", SHAPES)
def test_transformers_opens_our_checkpoint_and_gives_the_same_logits(name, tmp_path):
    config = SHAPES[name]
    ours = random_sparrow(config)
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(theirs, DeepseekV3ForCausalLM)
    ids = tokens(config)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("name", SHAPES)
def test_we_open_their_checkpoint_and_give_the_same_logits(name, tmp_path):
    config = SHAPES[name]
    theirs = reference_class(config)
    randomise(theirs)
    theirs.save_pretrained(tmp_path)
    ours = Sparrow.from_pretrained(tmp_path).eval()
    ids = tokens(config)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )


def test_mtp_weights_load_in_transformers_and_predict_the_same(tmp_path):
    config = SMALL.replace(num_nextn_predict_layers=1, tie_word_embeddings=True)
    ours = random_sparrow(config)
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    # transformers finds MTP weights by the layer number of the 671B model alone
    theirs._keys_to_ignore_on_load_unexpected = [r"model\.layers\.3.*"]
    module = MtpModel.from_pretrained(theirs).eval()
    ids = tokens(config)
    with torch.no_grad():
        hidden = ours.hidden(ids)
        [predicted] = ours.predict_further(hidden, ids)
        positions = torch.arange(1, ids.shape[1])[None]
        deeper = module.forward_layer(
            0, hidden[:, :-1], positions, None, input_ids=ids[:, 1:]
        )
        expected = module._project_to_logits(deeper)
    torch.testing.assert_close(predicted, expected, atol=TOLERANCE, rtol=0)


def test_mtp_weights_do_not_change_the_main_model_in_transformers(tmp_path):
    config = SMALL.replace(num_nextn_predict_layers=1)
    ours = random_sparrow(config)
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = tokens(config)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )


def test_the_gate_chooses_and_weighs_as_transformers_does():
    config = SMALL.replace(n_group=4, topk_group=2)
    theirs = reference_class(config)
    randomise(theirs)
    router = theirs.model.layers[1].mlp.gate
    hidden = torch.randn(200, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        _logits, their_weights, their_experts = router(hidden)
        ours = moe.gate(hidden, router.weight, router.e_score_correction_bias, config)
    order, their_order = ours.experts.argsort(-1), their_experts.argsort(-1)
    assert torch.equal(
        ours.experts.gather(-1, order), their_experts.gather(-1, their_order)
    )
    torch.testing.assert_close(
        ours.weights.gather(-1, order), their_weights.gather(-1, their_order)
    )


# --- where DeepSeek's definition and versions of transformers disagree -------------


def masked_with_zero(choice: torch.Tensor, n_group: int, topk_group: int):
    """What some versions of transformers do with the groups that were not chosen."""
    open_groups = moe.limit_groups(choice, n_group, topk_group)
    return open_groups.masked_fill(open_groups.isinf(), 0.0)


def test_closed_groups_are_masked_with_minus_infinity_as_deepseek_does():
    """With negative biases a zero would win against every open expert.

    DeepSeek's inference/model.py fills with -inf, transformers 5.23 does too;
    versions before filled with 0.0. This is the case where the two differ.
    """
    choice = torch.tensor([[-0.1, -0.2, -0.3, -0.4, -0.9, -0.9, -0.9, -0.9]])
    right = moe.limit_groups(choice, 2, 1).topk(2).indices
    wrong = masked_with_zero(choice, 2, 1).topk(2).indices
    assert set(right[0].tolist()) == {0, 1}
    assert min(wrong[0].tolist()) >= 4


def test_yarn_without_mscale_all_dim_follows_deepseek():
    """DeepSeek divides the two temperatures; with mscale_all_dim = 0 its is 1.

    transformers 5.23 ignores mscale there and uses the temperature for mscale = 1.
    Both agree wherever mscale is 1, as in every published DeepSeek checkpoint.
    """
    from sparrow.model import rope

    yarn = Yarn(factor=4.0, original_max_position_embeddings=16, mscale_all_dim=0.0)
    config = SMALL.replace(yarn=yarn)
    expected = 0.1 * torch.tensor(4.0).log().item() + 1
    rotation = rope.rotation(torch.zeros(1, 1), rope.frequencies(config), config)
    assert rotation.cos[0, 0, 0].item() == pytest.approx(expected)
    ours, theirs = random_sparrow(config), reference_class(config)
    theirs.load_state_dict(_as_transformers_stacks(ours))
    ids = tokens(config)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids), theirs(ids).logits, atol=TOLERANCE, rtol=0
        )


def _as_transformers_stacks(model: Sparrow) -> dict[str, torch.Tensor]:
    """Our names are transformers' own, apart from the `model.` in front."""
    return {
        name if name.startswith("lm_head") else f"model.{name}": value
        for name, value in model.state_dict().items()
    }
