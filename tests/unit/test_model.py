"""The model's own facts: two forms of attention, a growing cache, balanced experts."""

import pytest
import torch

from sparrow import Config, Sparrow
from sparrow.errors import PromptError
from sparrow.model import attend, compiled, mla, moe, norm, rope
from sparrow.model.cache import bytes_per_token, features_per_layer

# float32 sums in another order: 1e-6 for values near 1, some layers deep.
CLOSE = {"atol": 2e-5, "rtol": 0}

MLA = Config(
    vocab_size=41,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=32,
    max_position_embeddings=64,
    kv_lora_rank=10,
    qk_nope_head_dim=6,
    qk_rope_head_dim=4,
    v_head_dim=8,
    n_routed_experts=6,
    n_shared_experts=1,
    num_experts_per_tok=2,
    moe_intermediate_size=16,
    first_k_dense_replace=1,
    num_nextn_predict_layers=2,
    initializer_range=0.3,
)
GQA = MLA.replace(
    attention="gqa",
    feed_forward="dense",
    num_key_value_heads=1,
    head_dim=8,
    num_nextn_predict_layers=0,
)
MODELS = {"mla": MLA, "gqa": GQA, "gqa with experts": GQA.replace(feed_forward="moe")}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return Sparrow(MODELS[request.param]).eval()


@pytest.fixture
def latent_model():
    torch.manual_seed(0)
    return Sparrow(MLA).eval()


def ids(batch: int = 3, length: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(41, (batch, length), generator=generator)


@torch.no_grad()
def test_reading_in_pieces_equals_reading_at_once(model):
    x, cache = ids(), model.new_cache(3, 12)
    pieces = [x[:, :5], x[:, 5:9], x[:, 9:10], x[:, 10:]]
    logits = torch.cat([model(piece, cache=cache) for piece in pieces], dim=1)
    torch.testing.assert_close(logits, model(x), **CLOSE)
    assert cache.length == 12


@torch.no_grad()
def test_absorbed_attention_equals_expanded(latent_model):
    x = ids()
    expanded = latent_model(x, absorb=False)
    torch.testing.assert_close(latent_model(x, absorb=True), expanded, **CLOSE)


@torch.no_grad()
def test_the_absorbed_functions_equal_the_expanded_ones():
    draw = torch.Generator().manual_seed(0)
    q_nope, q_rope = (torch.randn(2, 5, 3, size, generator=draw) for size in (6, 4))
    latent, k_rope = (torch.randn(2, 7, size, generator=draw) for size in (10, 4))
    up_key = torch.randn(3, 6, 10, generator=draw)
    up_value = torch.randn(3, 8, 10, generator=draw)
    k_nope, value = mla.expand(latent, up_key, up_value)
    scores = mla.expanded_scores(q_nope, q_rope, k_nope, k_rope, 0.3)
    absorbed = mla.absorbed_scores(q_nope, q_rope, latent, k_rope, up_key, 0.3)
    torch.testing.assert_close(absorbed, scores, **CLOSE)
    weights = scores.softmax(dim=-1)
    plain = torch.einsum("bhqk,bkhv->bqhv", weights, value)
    context = mla.absorbed_context(weights, latent, up_value)
    torch.testing.assert_close(context, plain, **CLOSE)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("is_masked", [False, True])
def test_plain_attention_equals_the_fused_kernel(groups, is_masked):
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 7, 4, 6, generator=draw)
    key = torch.randn(2, 7, groups, 6, generator=draw)
    value = torch.randn(2, 7, groups, 5, generator=draw)
    own = torch.eye(7, dtype=torch.bool)
    seen = torch.rand(2, 1, 7, 7, generator=draw) < 0.5
    mask = seen | own if is_masked else None
    plain = attend.attend_plain(query, key, value, mask, 0.4)
    fused = attend.attend_fused(query, key, value, mask, 0.4)
    torch.testing.assert_close(plain, fused, **CLOSE)


@torch.no_grad()
def test_a_text_too_long_for_plain_attention_gives_the_same(model, monkeypatch):
    x = ids()
    short = model(x, absorb=False)
    monkeypatch.setattr(attend, "LONGEST_PLAIN", 0)
    torch.testing.assert_close(model(x, absorb=False), short, **CLOSE)


@torch.no_grad()
def test_no_token_sees_a_later_one(model):
    x = ids()
    changed = x.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % 41
    torch.testing.assert_close(model(x)[:, :7], model(changed)[:, :7], **CLOSE)
    assert not torch.allclose(model(x)[:, 7:], model(changed)[:, 7:])


def test_a_rotation_depends_on_distance_only():
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 4, generator=draw) for _ in range(2))

    def score(query_at: int, key_at: int) -> float:
        turned = [
            rope.rotate_pairs(
                x, *rope.rotation(torch.tensor([[at]]), rope.frequencies(MLA), MLA)
            )
            for x, at in ((query, query_at), (key, key_at))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(9, 4) == pytest.approx(score(25, 20), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)


def test_the_norm_leaves_a_zero_vector_at_zero():
    out = norm.rms_norm(torch.zeros(2, 4), torch.ones(4), 1e-6)
    assert torch.equal(out, torch.zeros(2, 4))


def test_the_norm_survives_half_precision_where_squares_overflow():
    x = torch.full((1, 4), 1000.0, dtype=torch.float16)
    out = norm.rms_norm(x, torch.ones(4, dtype=torch.float16), 1e-6)
    torch.testing.assert_close(out, torch.ones(1, 4, dtype=torch.float16))


def test_deepseek_v3_remembers_a_token_in_70272_bytes():
    v3 = MLA.replace(num_hidden_layers=61, kv_lora_rank=512, qk_rope_head_dim=64)
    assert bytes_per_token(v3) == 70_272
    expanded = 128 * (128 + 64 + 128) * 61 * 2  # keys and values of 128 heads
    assert expanded == 4_997_120
    assert expanded / bytes_per_token(v3) == pytest.approx(71.1, abs=0.05)


@torch.no_grad()
def test_the_cache_holds_exactly_the_bytes_of_the_formula(model):
    cache = model.new_cache(3, 20)
    model(ids(length=12), cache=cache)
    assert cache.bytes_used == 3 * 12 * bytes_per_token(model.config, 4)
    shape = (3, 20, features_per_layer(model.config))
    assert all(buffer.shape == shape for buffer in cache.buffers)


@torch.no_grad()
def test_a_full_cache_says_so(model):
    cache = model.new_cache(3, 8)
    with pytest.raises(PromptError, match="has room for 8 tokens and 12 are needed"):
        model(ids(), cache=cache)
    assert cache.length == 0


@torch.no_grad()
def test_a_text_longer_than_the_model_reads_is_refused(model):
    with pytest.raises(PromptError, match="65 tokens do not fit"):
        model(ids(length=65))


@torch.no_grad()
def test_chosen_sequences_go_on_with_their_own_past(model):
    x = ids()
    cache = model.new_cache(3, 16)
    model(x[:, :10], cache=cache)
    rows = torch.tensor([2, 0, 0])
    cache.keep(rows)
    torch.testing.assert_close(
        model(x[rows, 10:], cache=cache), model(x)[rows, 10:], **CLOSE
    )


def random_routing(config: Config, tokens: int, bias: torch.Tensor) -> moe.Routing:
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(tokens, config.hidden_size, generator=draw)
    centroids = torch.randn(config.n_routed_experts, config.hidden_size, generator=draw)
    return moe.gate(hidden, centroids, bias, config)


EVEN = torch.zeros(6)
ONE_DOES_ALL = torch.tensor([9.0, 0, 0, 0, 0, -9.0])


@pytest.mark.parametrize("bias", [EVEN, ONE_DOES_ALL], ids=["even", "one does all"])
@pytest.mark.parametrize("tokens", [1, 5, 64, 1500])
def test_sorting_tokens_by_expert_changes_nothing(tokens, bias):
    routing = random_routing(MLA, tokens, bias)
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(tokens, 24, generator=draw, requires_grad=True)
    gate_up = torch.randn(6, 32, 24, generator=draw, requires_grad=True)
    down = torch.randn(6, 24, 16, generator=draw, requires_grad=True)
    results = []
    for mix in (moe.mix_experts, moe.mix_experts_plain):
        mixed = mix(x, routing, gate_up, down)
        gradients = torch.autograd.grad(mixed.square().sum(), (x, gate_up, down))
        results.append((mixed, *gradients))
    for fast, plain in zip(*results, strict=True):
        # sums over up to 1500 tokens of values near 100, in another order
        torch.testing.assert_close(fast, plain, atol=1e-2, rtol=1e-3)


def test_the_bias_moves_the_choice_and_not_the_weight():
    config = MLA.replace(num_experts_per_tok=1, norm_topk_prob=False)
    hidden, centroids = torch.ones(1, 24), torch.zeros(6, 24)
    bias = torch.tensor([0.0, 0, 0, 0.5, 0, 0])
    routing = moe.gate(hidden, centroids, bias, config)
    assert routing.experts.tolist() == [[3]]
    assert routing.weights.tolist() == [[0.5]]  # sigmoid(0), without the bias


def test_no_gradient_reaches_the_selection_bias(latent_model):
    latent_model(ids()).sum().backward()
    for gate in latent_model.gates():
        assert not gate.e_score_correction_bias.requires_grad
    names = dict(latent_model.named_parameters())
    assert not any("e_score_correction_bias" in name for name in names)


def test_the_bias_update_lifts_idle_experts_and_lowers_busy_ones():
    bias = moe.update_bias(torch.zeros(3), torch.tensor([10, 5, 0]), 0.001)
    torch.testing.assert_close(bias, torch.tensor([-0.001, 0.0, 0.001]))


def test_bias_updates_balance_a_lopsided_router():
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(512, 24, generator=draw) + 0.5
    centroids = torch.randn(6, 24, generator=draw) * 0.3
    bias = torch.zeros(6)

    def violation() -> tuple[float, torch.Tensor]:
        experts = moe.gate(hidden, centroids, bias, MLA).experts
        load = torch.bincount(experts.flatten(), minlength=6)
        return float(moe.max_violation(load)), load

    before, _load = violation()
    for _step in range(300):
        bias = moe.update_bias(bias, violation()[1], 0.01)
    assert before > 0.5
    assert violation()[0] < 0.1


def test_the_balance_loss_is_one_when_every_expert_is_chosen_alike():
    experts = torch.tensor([[0, 1], [2, 3], [4, 5]])
    scores = torch.full((3, 6), 0.5)
    routing = moe.Routing(experts, torch.ones(3, 2), scores)
    loss = moe.sequence_balance_loss(routing, 1, MLA)
    assert float(loss) == pytest.approx(1.0)


def test_the_balance_loss_grows_when_two_experts_do_all():
    experts = torch.tensor([[0, 1]] * 3)
    scores = torch.tensor([[0.9, 0.9, 0.1, 0.1, 0.1, 0.1]] * 3)
    routing = moe.Routing(experts, torch.ones(3, 2), scores)
    assert float(moe.sequence_balance_loss(routing, 1, MLA)) > 2


@torch.no_grad()
def test_each_mtp_module_looks_one_token_further(latent_model):
    x = ids()
    first, second = latent_model.predict_further(latent_model.hidden(x), x)
    assert first.shape == (3, 11, 41)
    assert second.shape == (3, 10, 41)


@torch.no_grad()
def test_mtp_sees_no_token_that_it_must_predict(latent_model):
    x = ids()
    changed = x.clone()
    changed[:, 8:] = (changed[:, 8:] + 1) % 41

    def predict(tokens: torch.Tensor) -> torch.Tensor:
        hidden = latent_model.hidden(tokens)
        return latent_model.predict_further(hidden, tokens)[0]

    # position t has read tokens up to t + 1: those before 7 are untouched
    torch.testing.assert_close(predict(x)[:, :7], predict(changed)[:, :7], **CLOSE)
    assert not torch.allclose(predict(x)[:, 7], predict(changed)[:, 7])


def test_presets_have_the_sizes_that_they_promise():
    counts = {
        name: Sparrow(Config.preset(name)).count_parameters()
        for name in ("pico", "mini")
    }
    assert 1e6 <= counts["pico"] <= 2e6
    assert 60e6 <= counts["mini"] <= 100e6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not compiled.can_compile(), reason="no C++ compiler here")
def test_compiled_layers_give_the_same_loss_and_gradients():
    torch.manual_seed(0)
    plain = Sparrow(MLA.replace(num_nextn_predict_layers=0))
    fused = Sparrow(plain.config)
    fused.load_state_dict(plain.state_dict())
    assert compiled.compile_layers(fused)
    results = []
    for model in (plain, fused):
        loss = model(ids()).square().mean()
        loss.backward()
        results.append([loss, *(each.grad for each in model.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert not compiled.compile_layers(Sparrow(MLA))


def test_routings_are_those_of_the_last_pass_only():
    config = MLA.replace(num_nextn_predict_layers=1)
    model = Sparrow(config)
    hidden = model.hidden(ids())
    model.predict_further(hidden, ids())
    assert len(list(model.routings())) == len(list(model.gates()))
    model(ids())  # the extra layer takes no part in this one
    assert len(list(model.routings())) == len(list(model.gates())) - 1
