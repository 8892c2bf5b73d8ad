"""Joined weights score as the model's own do, and step aside for what is replaced."""

import pytest
import torch

from sparrow import Config, Sparrow, decode
from sparrow.checks import library
from sparrow.config import Yarn
from sparrow.model.joined import JoinedStep, can_join

from .test_model import GQA, MLA

SMALL = MLA.replace(initializer_range=0.1)
CONFIGS = {
    "experts": SMALL,
    "dense": SMALL.replace(feed_forward="dense"),
    "no shared expert": SMALL.replace(n_shared_experts=0),
    "low-rank queries, groups, stretched": SMALL.replace(
        q_lora_rank=12,
        n_group=3,
        topk_group=2,
        routed_scaling_factor=2.5,
        yarn=Yarn(factor=4.0, original_max_position_embeddings=16, mscale=0.7),
    ),
    "pico": Config.preset("pico"),
}
ROWS, PAST, NEW = 20, 6, 4


def make(config: Config) -> Sparrow:
    torch.manual_seed(0)
    model = Sparrow(config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name:
                tensor.uniform_(0.5, 1.5)
            if "correction_bias" in name:
                tensor.uniform_(-0.1, 0.1)
    return model


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@torch.inference_mode()
def test_a_joined_step_scores_as_the_model_does(config, is_padded):
    model = make(config)
    assert can_join(model)
    ids = torch.randint(config.vocab_size, (ROWS, PAST + NEW))
    pad = torch.arange(ROWS) % 4 * is_padded
    ours, theirs = (model.new_cache(ROWS, PAST + NEW) for _side in range(2))
    for cache in (ours, theirs):
        model(ids[:, :PAST], cache=cache)
    step = JoinedStep(model)
    for column in range(PAST, PAST + NEW):
        seen = torch.arange(column + 1) >= pad[:, None]
        expected = model(
            ids[:, column, None],
            positions=column - pad[:, None],
            mask=seen[:, None, None],
            cache=theirs,
        )[:, 0]
        scores = step(ids[:, column], ours, pad if is_padded else None)
        torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)
        assert scores.std() > 0.01


def write(model: Sparrow) -> list[list[int]]:
    prompts = [[1, 2, row] for row in range(decode.JOIN_FROM)]
    written = decode.generate(model, prompts, max_new_tokens=5, temperature=0)
    return [each.tokens for each in written]


def test_changed_weights_are_seen_by_the_next_call(monkeypatch):
    model = make(MLA)
    before = write(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    after = write(model)
    assert after != before
    monkeypatch.setattr(decode, "can_join", lambda _model: False)
    assert write(model) == after


def count_joined_steps(monkeypatch) -> list[int]:
    calls: list[int] = []

    class Counted(JoinedStep):
        def __call__(self, token, cache, pad=None):
            calls.append(len(token))
            return super().__call__(token, cache, pad)

    monkeypatch.setattr(decode, "JoinedStep", Counted)
    return calls


def test_many_sequences_are_joined_and_few_are_not(monkeypatch):
    calls = count_joined_steps(monkeypatch)
    model = make(MLA)
    decode.generate(model, [[1]] * (decode.JOIN_FROM - 1), max_new_tokens=3)
    assert not calls
    decode.generate(model, [[1]] * decode.JOIN_FROM, max_new_tokens=3)
    assert calls == [decode.JOIN_FROM] * 2


@pytest.mark.parametrize(
    "symbol",
    [
        "sparrow.model.norm:rms_norm",
        "sparrow.model.mla:compress",
        "sparrow.model.mla:absorbed_scores",
        "sparrow.model.rope:rotate_pairs",
        "sparrow.model.moe:gate",
        "sparrow.model.norm:RMSNorm.forward",
    ],
)
def test_a_function_that_was_replaced_is_called(symbol):
    model = make(MLA)
    owner, name = library.locate(symbol)
    original, calls = owner.__dict__[name], []

    def other(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    library.replace(symbol, other)
    try:
        assert not can_join(model)
        write(model)
        assert len(calls) >= 5  # in each of 4 steps too, not only for the prompts
    finally:
        library.put_back(symbol)
    assert can_join(model)


def test_a_model_that_is_watched_or_changed_is_not_joined():
    class Other(torch.nn.Linear):
        pass

    model = make(MLA)
    handle = model.layers[0].self_attn.register_forward_hook(lambda *_args: None)
    assert not can_join(model)
    handle.remove()
    assert can_join(model)
    assert not can_join(make(GQA))
    assert not can_join(make(MLA).to(torch.bfloat16))
    model.layers[0].self_attn.o_proj = Other(24, 24, bias=False)
    assert not can_join(model)
