"""Our six losses and TRL's are the same function: value, gradient, and advantages.

TRL's own trainer computes its side. Only its forward pass is replaced: it hands out
the tensors of the test where a model's log probabilities would stand.
"""

import math

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sparrow.rl import KINDS, Whole, group_advantage, policy_loss

# TRL asks transformers by a name that transformers will drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`.*gradient_checkpointing.*` is deprecated:FutureWarning"
)
# Both sides add the same float64 numbers, in another order.
EXACT = {"rtol": 1e-12, "atol": 1e-15}
CLIP_LOW, CLIP_HIGH = 0.2, 0.28


@pytest.fixture(scope="module")
def trl(tmp_path_factory):
    """A real trainer of a tiny model; importing TRL takes seconds, so here and once."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    class Fixed(GRPOTrainer):
        """TRL, with the model's answers and their rewards given."""

        def _send_telemetry(self):
            """Tests speak to this machine only."""

        def _get_per_token_logps_and_entropies(self, *_args, **_options):
            return self.logprobs, torch.zeros_like(self.logprobs), None

        def _generate(self, prompts):
            """As TRL would answer: prompts and answers of two tokens each."""
            ids = [[1, 2] for _ in prompts]
            # Answers, masks of tools, texts, log probabilities, more, and pictures.
            return ids, ids, None, ["ab"] * len(ids), None, {}, None, []

        def _calculate_rewards(self, _inputs, _prompts, _completions, _ids):
            return self.reward.reshape(-1, 1)

        def advantages(self, reward, scale):
            """What TRL makes of rewards [Q, G]."""
            self.reward, self.beta = reward, 0.0
            self.num_generations = reward.shape[1]
            self.scale_rewards = "group" if scale else "none"
            rows = [{"prompt": "a"} for _ in range(reward.numel())]
            return self._generate_and_score_completions(rows)["advantages"]

        def loss(self, kind, batch, beta=0.0, longest=None):
            """TRL's loss of a batch, and its gradient."""
            self.loss_type = "grpo" if kind == "gspo" else kind
            by_sequence = kind == "gspo"
            self.importance_sampling_level = "sequence" if by_sequence else "token"
            self.beta, self.epsilon_low = beta, CLIP_LOW
            # For CISPO, TRL takes the bound itself, not how far above 1 it is.
            self.epsilon_high = 1 + CLIP_HIGH if kind == "cispo" else CLIP_HIGH
            self.max_completion_length = longest or batch["mask"].shape[1]
            self.logprobs = batch["logprobs"].clone().requires_grad_()
            found = self.compute_loss(
                self.model,
                {
                    "prompt_ids": torch.ones(len(batch["mask"]), 1, dtype=torch.long),
                    "prompt_mask": torch.ones(len(batch["mask"]), 1),
                    "completion_ids": batch["mask"].long(),
                    "completion_mask": batch["mask"],
                    "advantages": batch["advantages"],
                    "old_per_token_logps": batch["old_logprobs"],
                    "ref_per_token_logps": batch["ref_logprobs"],
                    "num_items_in_batch": batch["mask"].sum(),
                },
            )
            found.backward()
            return found.detach(), self.logprobs.grad

    config = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    words = {"<pad>": 0, "<eos>": 1, "a": 2, "b": 3}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
    options = GRPOConfig(
        output_dir=str(tmp_path_factory.mktemp("trl")),
        use_cpu=True,
        bf16=False,
        report_to=[],
        per_device_train_batch_size=8,
        use_bias_correction_kl=False,  # not in the papers of the six losses
    )
    trainer = Fixed(
        model=LlamaForCausalLM(config),
        reward_funcs=[lambda **_: []],
        args=options,
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 8),
        processing_class=tokenizer,
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def batch_of(reward, lengths, *, seed=0, apart=0.4, scale=True):
    """Fixed tensors: rewards [Q, G], and answers of these lengths."""
    draw = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))

    def noise():
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    logprobs = -noise().abs()
    places = torch.arange(shape[1])
    return {
        "logprobs": logprobs,
        "old_logprobs": logprobs + apart * noise(),
        "ref_logprobs": logprobs + apart * noise(),
        "advantages": group_advantage(
            torch.tensor(reward, dtype=torch.float64), scale=scale
        ).flatten(),
        "mask": (places < torch.tensor(lengths)[:, None]).double(),
    }


def ours(kind, batch, beta=0.0, whole=None):
    """Our loss of a batch, and its gradient."""
    logprobs = batch["logprobs"].clone().requires_grad_()
    found = policy_loss(
        logprobs,
        batch["old_logprobs"],
        batch["advantages"],
        batch["mask"],
        kind=kind,
        clip_low=CLIP_LOW,
        clip_high=CLIP_HIGH,
        ref_logprobs=batch["ref_logprobs"],
        beta=beta,
        whole=whole,
    ).loss
    found.backward()
    return found.detach(), logprobs.grad


BATCHES = {
    "equal lengths": batch_of([[1, 0, 0, 1], [0, 0.1, 1, 0]], [6] * 8),
    "odd lengths": batch_of([[1, 0, 0, 1], [0, 0.1, 1, 0]], [1, 7, 3, 5, 2, 7, 4, 6]),
    "rows without a token": batch_of([[1, 0, 0, 1]], [3, 0, 5, 0], seed=1),
    "no token at all but one": batch_of([[1, 0]], [0, 1], seed=2),
    "one group without differences": batch_of([[1, 1, 1], [0, 1, 0]], [4, 2, 3] * 2),
    "no group with differences": batch_of([[0.1] * 3, [1] * 3], [4, 2, 3] * 2),
    "groups of two": batch_of([[1, 0], [0, 1], [1, 1]], [2, 5, 3, 1, 4, 4], seed=3),
    "far from the old policy": batch_of([[1, 0, 0, 1]], [5, 4, 3, 2], apart=3.0),
    "at the old policy": batch_of([[1, 0, 0, 1]], [5, 4, 3, 2], apart=0.0),
    "not scaled": batch_of([[1, 0, 0, 1]], [5, 4, 3, 2], scale=False),
}


@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_those_of_trl(trl, kind, name, beta):
    theirs = trl.loss(kind, BATCHES[name], beta)
    mine = ours(kind, BATCHES[name], beta)
    torch.testing.assert_close(mine, theirs, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_the_batches_move_something(kind):
    """Else the test above would compare zeros."""
    loss, gradient = ours(kind, BATCHES["odd lengths"])
    assert loss != 0
    assert gradient.abs().max() > 1e-3


def test_dr_grpo_divides_by_the_longest_answer_allowed_as_in_trl(trl):
    batch = BATCHES["odd lengths"]
    whole = Whole(sequences=8, tokens=0, length=100)
    mine = ours("dr_grpo", batch, whole=whole)
    torch.testing.assert_close(mine, trl.loss("dr_grpo", batch, longest=100), **EXACT)


def test_the_clipped_shares_are_those_of_trl(trl):
    batch = BATCHES["far from the old policy"]
    trl._metrics["train"].clear()
    trl.loss("dapo", batch, 0.04)
    theirs = trl._metrics["train"]
    mine = policy_loss(
        batch["logprobs"],
        batch["old_logprobs"],
        batch["advantages"],
        batch["mask"],
        kind="dapo",
        clip_low=CLIP_LOW,
        clip_high=CLIP_HIGH,
        ref_logprobs=batch["ref_logprobs"],
        beta=0.04,
    )
    for ours_, name in (
        (mine.kl, "kl"),
        (mine.clip_low_frac, "clip_ratio/low_mean"),
        (mine.clip_high_frac, "clip_ratio/high_mean"),
    ):
        # TRL keeps its measures in float32
        assert math.isclose(float(ours_), theirs[name][0], rel_tol=1e-6)
        assert theirs[name][0] > 0


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(
    "reward",
    [
        [[1, 0, 0, 1], [0, 0.1, 1, 0]],
        [[1, 0], [0, 1], [0.5, 0.5]],
        [[0, 0, 0], [1, 1, 1]],
        [[0.001, 0, 0.002, 0.001]],
    ],
    ids=["groups of four", "groups of two", "no differences", "small differences"],
)
def test_advantages_are_those_of_trl(trl, reward, scale):
    reward = torch.tensor(reward, dtype=torch.float64)
    theirs = trl.advantages(reward, scale)
    mine = group_advantage(reward, scale=scale).flatten()
    # TRL takes rewards in float32 on their way
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)
