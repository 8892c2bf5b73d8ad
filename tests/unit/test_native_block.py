"""A block in compiled C++ gives the twin's numbers and gradients, or steps aside."""

import dataclasses
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from sparrow import Config, Sparrow
from sparrow.checks import library
from sparrow.data import packing
from sparrow.model import (
    attend,
    compiled,
    native_block,
    native_norm,
    rope,
    transformer,
)
from sparrow.model.block import Block
from sparrow.model.moe import ExpertFeedForward
from sparrow.model.norm import RMSNorm
from sparrow.train import loss, native_loss
from sparrow.train.loop import pretrain
from sparrow.train.objective import Objective

from .test_pretrain import RECIPE, losses, run_together, stop_at, whole  # noqa: F401

PICO = Config.preset("pico").replace(initializer_range=0.1)
CONFIGS = {
    "experts": PICO,
    "dense": PICO.replace(feed_forward="dense"),
    "no shared expert": PICO.replace(n_shared_experts=0),
    "other sizes": PICO.replace(
        hidden_size=48,
        num_attention_heads=3,
        intermediate_size=112,
        moe_intermediate_size=16,
        n_routed_experts=21,
        n_shared_experts=3,
        num_experts_per_tok=5,
        kv_lora_rank=16,
        qk_nope_head_dim=32,
        qk_rope_head_dim=16,
        v_head_dim=48,
        routed_scaling_factor=2.5,
        norm_topk_prob=False,
    ),
}
TEXTS = [(1, 1), (3, 7), (5, 100), (2, 512)]
FEW = [(2, 63), (1, 300)]  # for one thread alone
pytestmark = pytest.mark.needs_compiler


class Found(NamedTuple):
    """What a pass gave: the result, who was chosen, and every gradient."""

    out: Tensor
    experts: list[set[int]]
    grads: dict[str, Tensor]


def make(config: Config) -> Block:
    """A block with experts, if the model has any; no weight is special."""
    torch.manual_seed(0)
    block = Sparrow(config).layers[1]
    with torch.no_grad():
        for name, tensor in block.state_dict().items():
            if "norm" in name:
                tensor.uniform_(0.5, 1.5)
            if "correction_bias" in name:
                tensor.uniform_(-0.1, 0.1)
    return block


def copy_of(block: Block, config: Config) -> Block:
    """The same weights in a block that looks for no compiler."""
    other = Block(config, 1)
    other.load_state_dict(block.state_dict())
    return other


def windows(texts: int, tokens: int, kind: str) -> tuple[Tensor | None, Tensor]:
    """A mask, and the places of its tokens: several documents, or one."""
    places = torch.arange(tokens)[None]
    draw = torch.Generator().manual_seed(tokens)
    if kind == "one document":
        return None, places
    if kind == "a sliding window":
        back = places[0, :, None] - places
        return ((back >= 0) & (back < 9))[None, None], places
    begins = torch.rand(texts, tokens + 1, generator=draw) < 0.05
    document = begins.cumsum(dim=1)
    if kind == "documents":
        document = document[:, :tokens]
        mask = packing.attention_mask(document)
        return mask, packing.places_since(document)
    mask = packing.attention_mask(document)
    return transformer._mtp_window(mask, 1), places


def look(block: Block, config: Config, mask: Tensor | None, places: Tensor, x: Tensor):
    """One pass and the gradients of a loss that reads all that comes out."""
    dtype = block.input_layernorm.weight.dtype
    draw = torch.Generator().manual_seed(7)
    hidden = x.detach().clone().to(dtype).requires_grad_()
    inverse = rope.frequencies(config)
    cos, sin = rope.rotation(places, inverse, config)
    rotation = rope.Rotation(cos.to(dtype), sin.to(dtype))
    block.zero_grad()
    out = block(hidden, rotation, mask)
    loss = (out * torch.randn(out.shape, generator=draw).to(dtype)).sum()
    experts: list[set[int]] = []
    if isinstance(block.mlp, ExpertFeedForward):
        routing = block.mlp.last_routing
        push = torch.randn(routing.scores.shape, generator=draw).to(dtype)
        loss = loss + (routing.scores * push).sum()
        experts = [set(each) for each in routing.experts.tolist()]
    loss.backward()
    grads = {name: each.grad for name, each in block.named_parameters()}
    return Found(out.detach(), experts, grads | {"hidden": hidden.grad})


def truth(block: Block, config: Config, monkeypatch: pytest.MonkeyPatch, *given):
    """The twin in float64, also where it otherwise asks for float32."""

    def softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
        seen = torch.ones_like(scores[:1, :1], dtype=torch.bool).tril()
        seen = seen if mask is None else mask
        return scores.masked_fill(~seen, float("-inf")).softmax(dim=-1)

    with monkeypatch.context() as exact:
        exact.setattr(torch.Tensor, "float", torch.Tensor.double)
        exact.setattr(attend, "softmax", softmax)
        return look(copy_of(block, config).double(), config, *given)


def assert_near(mine: Found, exact: Found) -> None:
    """As near to the truth as sums of a thousand numbers of 24 bits are."""
    assert mine.experts == exact.experts
    pairs = {"out": (mine.out, exact.out)} | {
        name: (each, exact.grads[name]) for name, each in mine.grads.items()
    }
    for name, (got, expected) in pairs.items():
        size = float(expected.abs().max())
        error = float((got - expected).abs().max())
        # a lone token's queries feel nothing: there, rounding is all there is
        assert error <= 1e-5 * size + 1e-5, f"{name}: {error} of {size}"


def compile_block(block: Block) -> Block:
    block.whole = native_block.through
    return block


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "kind", ["documents", "MTP", "one document", "a sliding window"]
)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_compiled_block_gives_the_twins_numbers_and_gradients(
    config, kind, threads, monkeypatch
):
    assert native_block.can_learn(config)
    block = make(config)
    for texts, tokens in TEXTS if threads > 1 else FEW:
        x = torch.randn(texts, tokens, config.hidden_size)
        given = *windows(texts, tokens, kind), x
        exact = truth(block, config, monkeypatch, *given)
        mine = look(compile_block(block), config, *given)
        assert_near(mine, exact)
        again = look(block, config, *given)
        assert torch.equal(again.out, mine.out)
        for name, each in again.grads.items():
            assert torch.equal(each, mine.grads[name]), name


def test_an_expert_without_a_token_learns_nothing():
    block = make(PICO)
    block.mlp.gate.e_score_correction_bias[3] = -10
    mine = look(compile_block(block), PICO, *windows(4, 40, "documents"), TEXT)
    for name in ("gate_up_proj", "down_proj"):
        grad = mine.grads[f"mlp.experts.{name}"]
        assert not grad[3].any()
        assert grad[2].any()


TEXT = torch.randn(4, 40, PICO.hidden_size, generator=torch.Generator().manual_seed(1))


def passes(block: Block, monkeypatch, mask=None, places=None, x=TEXT) -> bool:
    """Whether the C++ did it; in any case the numbers are the twin's."""
    config = block.self_attn.config
    places = torch.arange(x.shape[1])[None] if places is None else places
    twin = look(copy_of(block, config), config, mask, places, x)
    done = []
    real = native_block._Through.apply
    monkeypatch.setattr(
        native_block._Through, "apply", lambda *a: done.append(1) or real(*a)
    )
    mine = look(compile_block(block), config, mask, places, x)
    torch.testing.assert_close(mine.out, twin.out, atol=2e-5, rtol=1e-4, equal_nan=True)
    return bool(done)


def test_it_takes_texts_without_a_past(monkeypatch):
    assert passes(make(PICO), monkeypatch)


@pytest.mark.parametrize("kind", ["padding", "holes", "ahead", "prefix", "float"])
def test_a_mask_that_is_no_window_is_left_to_the_twin(kind, monkeypatch):
    mask = torch.ones(4, 1, 40, 40, dtype=torch.bool).tril()
    if kind == "padding":
        mask[1, :, :, :3] = False  # its first three places see nothing
    if kind == "holes":
        mask[0, 0, 9, 4] = False
    if kind == "ahead":
        mask[2, 0, 9, 10] = True
    if kind == "prefix":
        mask[3, 0, 9:, 5:7] = False
    if kind == "float":
        mask = torch.zeros(4, 1, 40, 40).masked_fill(~mask, float("-inf"))
        assert native_block._windows(mask) is None
        return
    assert not passes(make(PICO), monkeypatch, mask)


def test_a_learners_own_function_or_a_hook_sees_every_token(monkeypatch):
    block = make(PICO)
    symbol = "sparrow.model.moe:gate"
    owner, name = library.locate(symbol)
    original = owner.__dict__[name]
    seen = []

    def own(*given: object) -> object:
        seen.append(1)
        return original(*given)

    library.replace(symbol, own)
    try:
        assert not passes(block, monkeypatch)
        assert len(seen) == 2
    finally:
        library.put_back(symbol)
    for watch in ("register_forward_hook", "register_full_backward_hook"):
        handle = getattr(block.self_attn, watch)(lambda *_told: seen.append(1))
        seen.clear()
        assert not passes(block, monkeypatch)
        assert seen
        handle.remove()
    assert passes(block, monkeypatch)


def test_other_precisions_are_left_to_the_twin(monkeypatch):
    block = compile_block(make(PICO))
    monkeypatch.setattr(
        native_block._Through, "apply", lambda *_given: pytest.fail("it was taken")
    )
    rotation = rope.rotation(torch.arange(40)[None], rope.frequencies(PICO), PICO)
    with torch.autocast("cpu", torch.bfloat16):
        block(TEXT, rotation)
    block.double()(TEXT.double(), rotation)


@pytest.mark.parametrize(
    "changes",
    [
        {"q_lora_rank": 16},
        {"n_group": 2},
        {"kv_lora_rank": 24},
        {"attention": "gqa", "num_key_value_heads": 2, "head_dim": 32},
    ],
    ids=str,
)
def test_other_shapes_are_never_compiled(changes, monkeypatch):
    monkeypatch.setattr(native_block, "library", lambda: pytest.fail("it was"))
    assert not native_block.can_learn(PICO.replace(**changes))


def test_what_is_no_number_is_not_hidden():
    block = compile_block(make(PICO))
    with torch.no_grad():
        block.self_attn.q_proj.weight[0, 0] = float("nan")
    rotation = rope.rotation(torch.arange(40)[None], rope.frequencies(PICO), PICO)
    assert block(TEXT, rotation).isnan().any(dim=-1).all()


def test_compiling_a_model_takes_all_its_blocks_mtp_included():
    model = Sparrow(Config.preset("pico"))
    assert compiled.compile_layers(model)
    blocks = [each for each in model.modules() if isinstance(each, Block)]
    assert len(blocks) == 5
    assert all(block.whole is native_block.through for block in blocks)


def test_a_second_way_back_gives_the_same():
    block = compile_block(make(PICO))
    hidden = TEXT.clone().requires_grad_()
    rotation = rope.rotation(torch.arange(40)[None], rope.frequencies(PICO), PICO)
    out = block(hidden, rotation).square().sum()
    out.backward(retain_graph=True)
    once = hidden.grad.clone()
    with torch.no_grad():
        block(TEXT + 1, rotation)  # takes the memory that came back
    hidden.grad = None
    out.backward()
    assert torch.equal(hidden.grad, once)


def make_compiled(**changes: object) -> Sparrow:
    torch.manual_seed(0)
    model = Sparrow(PICO.replace(**changes))
    assert compiled.compile_layers(model)
    return model


def heads(model: Sparrow, monkeypatch, *, is_compiled: bool):
    """All losses of a batch, and the gradient of their sum."""
    model.zero_grad()
    monkeypatch.setattr(model, "is_compiled", is_compiled)
    documents = [torch.arange(1, size) for size in (30, 7, 41, 22, 18)]
    batch = packing.pack(documents, 24, 0)
    lessons = Objective(model, mtp_weight=0.3, balance_weight=1e-2)
    found = lessons(batch, 100, len(batch.tokens))
    found.total.backward()
    return found, {name: each.grad for name, each in model.named_parameters()}


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_head_with_its_loss_gives_what_both_do_apart(is_tied, monkeypatch):
    model = make_compiled(tie_word_embeddings=is_tied)
    assert native_loss.can_hear(model)
    mine, grads = heads(model, monkeypatch, is_compiled=True)
    twin, expected = heads(model, monkeypatch, is_compiled=False)
    for got, wanted in zip(mine, twin, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-7)
    for name, grad in grads.items():
        size = float(expected[name].abs().max())
        error = float((grad - expected[name]).abs().max())
        assert error <= 2e-5 * size + 1e-7, name


def test_a_learners_own_loss_sees_the_scores(monkeypatch):
    model = make_compiled()
    seen = []
    original = loss.language_loss

    def own(logits: Tensor, *more: object) -> Tensor:
        seen.append(logits.shape)
        return original(logits, *more)

    library.replace("sparrow.train.loss:language_loss", own)
    try:
        heads(model, monkeypatch, is_compiled=True)
    finally:
        library.put_back("sparrow.train.loss:language_loss")
    assert [each[-1] for each in seen] == [512, 512]  # the next token, and one further


def test_a_norm_gives_the_twins_numbers_and_gradients():
    part = RMSNorm(48, 1e-5)
    part.weight.data.uniform_(0.5, 1.5)
    found = []
    for way in (native_norm.through, None):
        part.whole = way
        part.zero_grad()
        x = torch.randn(3, 7, 48, generator=torch.Generator().manual_seed(1))
        out = part(x.requires_grad_())
        (out * out.detach().flip(-1)).sum().backward()
        found.append((out.detach(), x.grad, part.weight.grad))
    for mine, twin in zip(*found, strict=True):
        torch.testing.assert_close(mine, twin, rtol=1e-5, atol=1e-5)


COMPILED = dataclasses.replace(RECIPE, compile=True)


@pytest.fixture(scope="module")
def compiled_run(tmp_path_factory):
    return pretrain(COMPILED, tmp_path_factory.mktemp("compiled"))


def test_a_compiled_run_stays_near_a_plain_one(compiled_run, whole):  # noqa: F811
    for mine, plain in zip(
        losses(compiled_run.folder), losses(whole.folder), strict=True
    ):
        assert mine == pytest.approx(plain, rel=1e-3)  # rounding grows with each step


def test_a_compiled_run_that_was_cut_ends_with_the_same_bits(compiled_run, tmp_path):
    stop_at(tmp_path, 7, COMPILED)
    resumed = pretrain(COMPILED, tmp_path)
    assert losses(tmp_path) == losses(compiled_run.folder)
    name = "model.safetensors"
    one, other = (each.model / name for each in (resumed, compiled_run))
    assert one.read_bytes() == other.read_bytes()


def test_two_compiled_processes_give_the_result_of_one(compiled_run, tmp_path):
    run_together(tmp_path, 2, "--compile")
    for mine, alone in zip(losses(tmp_path), losses(compiled_run.folder), strict=True):
        assert mine == pytest.approx(alone, rel=1e-3)
