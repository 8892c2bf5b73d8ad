"""The compiled step scores as the joined one does, and steps aside where it cannot."""

import shutil

import pytest
import torch

from sparrow import Config, Sparrow, decode
from sparrow.checks import library
from sparrow.model import native, native_step
from sparrow.model.joined import JoinedStep
from sparrow.model.native_step import NativeStep, Texts, can_step
from sparrow.serve import Engine, EngineSettings, Sampling, runner
from sparrow.serve.paged import PagedCache
from sparrow.serve.sampling import judge

from .test_joined import make

PICO = Config.preset("pico")
CONFIGS = {
    "pico": PICO,
    "dense": PICO.replace(feed_forward="dense"),
    "no shared expert": PICO.replace(n_shared_experts=0),
    "other sizes": PICO.replace(
        vocab_size=77,
        hidden_size=72,
        num_attention_heads=8,
        intermediate_size=40,
        moe_intermediate_size=20,
        n_routed_experts=5,
        num_experts_per_tok=3,
        kv_lora_rank=64,
        qk_rope_head_dim=32,
        v_head_dim=10,
        routed_scaling_factor=2.5,
        norm_topk_prob=False,
    ),
}
ROWS, PAST, NEW = 37, 6, 3


@pytest.mark.needs_compiler
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@torch.inference_mode()
def test_a_compiled_step_scores_as_a_joined_one_does(config, is_padded):
    model = make(config.replace(initializer_range=0.1))
    assert can_step(model)
    ids = torch.randint(config.vocab_size, (ROWS, PAST + NEW))
    pad = torch.arange(ROWS) % 4 if is_padded else None
    ours, theirs = (model.new_cache(ROWS, PAST + NEW) for _side in range(2))
    for cache in (ours, theirs):
        model(ids[:, :PAST], cache=cache)
    mine, twin = NativeStep(model), JoinedStep(model)
    for column in range(PAST, PAST + NEW):
        scores = mine(ids[:, column], ours, pad)
        expected = twin(ids[:, column], theirs, pad)
        # float32, sums in another order; scores reach about ten
        torch.testing.assert_close(scores, expected, atol=2e-5, rtol=0)
        assert scores.std() > 0.1
    for mine_kept, kept in zip(ours.buffers, theirs.buffers, strict=True):
        torch.testing.assert_close(mine_kept, kept, atol=2e-5, rtol=0)


@pytest.mark.needs_compiler
@torch.inference_mode()
def test_a_text_has_the_same_scores_to_the_last_bit_in_any_company():
    model, ids = make(PICO), torch.randint(512, (200, PAST + 1))
    step = NativeStep(model)

    def scores(rows: slice, threads: int) -> torch.Tensor:
        cache = model.new_cache(200, PAST + 1)
        model(ids[:, :PAST], cache=cache)
        for layer, buffer in enumerate(cache.buffers):
            cache.buffers[layer] = buffer[rows].contiguous()
        torch.set_num_threads(threads)
        texts = native_step.one_each(
            torch.zeros_like(ids[rows, 0]), torch.full_like(ids[rows, 0], PAST)
        )
        return step.hidden(ids[rows, PAST], texts, cache.buffers)

    threads = torch.get_num_threads()
    try:
        crowd = scores(slice(None), threads)
        assert torch.equal(scores(slice(3, 4), threads), crowd[3:4])
        assert torch.equal(scores(slice(100, 177), 1), crowd[100:177])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.needs_compiler
@pytest.mark.parametrize("vocab_size", [512, 77])
@torch.inference_mode()
def test_compiled_scores_are_judged_as_the_plain_twin_does(vocab_size):
    model = make(PICO.replace(vocab_size=vocab_size))
    hidden, rows = torch.randn(50, 128), torch.randperm(50)[:41]
    scored = NativeStep(model).scores(hidden, rows)
    twin = judge(model.logits(hidden[rows]))
    # float32, sums in another order; scores stay below ten
    torch.testing.assert_close(scored.scores, twin.scores, atol=1e-5, rtol=0)
    assert torch.equal(scored.best, scored.scores.argmax(dim=-1))


@pytest.mark.needs_compiler
@pytest.mark.parametrize("wanted", [[0, 4, 5, 150, 299], [299], [], list(range(300))])
@torch.inference_mode()
def test_who_leaves_the_last_layer_early_changes_nothing_for_the_others(wanted):
    """300 tokens of two texts are several pieces of work, and some have nobody left."""
    step = NativeStep(make(PICO))
    counts, rows = torch.tensor([180, 120]), torch.tensor(wanted, dtype=torch.long)
    places = torch.cat([torch.arange(each) for each in counts.tolist()])
    texts = Texts(
        begins=torch.tensor([0, 180, 300]),
        firsts=torch.zeros(2, dtype=torch.long),
        columns=places,
        positions=places,
        tables=torch.arange(24).view(2, 12),
    )
    tokens, caches, found = torch.randint(512, (300,)), [], []
    for asked in (None, rows):
        pages = PagedCache(
            PICO, 24, 16, dtype=torch.float32, device=torch.device("cpu")
        )
        found.append(step.hidden(tokens, texts, pages.buffers, asked))
        caches.append(pages.buffers)
    assert torch.equal(found[0][rows], found[1])
    assert all(torch.equal(*both) for both in zip(*caches, strict=True))


@pytest.mark.needs_compiler
@torch.inference_mode()
def test_the_first_of_equal_scores_is_the_most_likely():
    model = make(PICO)
    model.lm_head.weight[300:] = model.lm_head.weight[: 512 - 300]
    scored = NativeStep(model).scores(torch.randn(20, 128), torch.arange(20))
    ties = scored.scores == scored.scores.amax(dim=-1, keepdim=True)
    assert ties.sum() > 20
    assert torch.equal(scored.best, ties.int().argmax(dim=-1))


@pytest.mark.needs_compiler
@torch.inference_mode()
def test_a_past_that_hardly_counts_neither_slows_nor_changes_a_text():
    """Scores far below the best: e^x of them would be subnormal, or nothing."""
    model = make(PICO.replace(initializer_range=0.5))
    ids = torch.randint(512, (3, 30))
    ours, theirs = (model.new_cache(3, 30) for _side in range(2))
    for cache in (ours, theirs):
        model(ids[:, :29], cache=cache)
    scores = NativeStep(model)(ids[:, 29], ours)
    expected = JoinedStep(model)(ids[:, 29], theirs)
    # float32 again; with weights this large, scores reach a hundred
    torch.testing.assert_close(scores, expected, atol=2e-3, rtol=0)


def write(model: Sparrow, **asked: object) -> list[decode.Completion]:
    prompts = [[1, 2, row, 7][: 2 + row % 3] for row in range(40)] * 2
    settings = {"temperature": 0.0} | asked
    return decode.generate(model, prompts, max_new_tokens=60, **settings)


@pytest.mark.needs_compiler
@pytest.mark.parametrize("asked", [{}, {"stop": [5, 9, 100]}], ids=["full", "stop"])
def test_generate_writes_the_same_with_the_compiled_step(asked, monkeypatch):
    model = make(PICO.replace(initializer_range=0.1))
    calls: list[int] = []

    class Counted(NativeStep):
        def __call__(self, token, cache, pad=None):
            calls.append(len(token))
            return super().__call__(token, cache, pad)

    monkeypatch.setattr(decode, "NativeStep", Counted)
    mine = write(model, **asked)
    assert calls[0] == 80
    assert (calls[-1] < 80) == bool(asked)  # those that ended have left
    monkeypatch.setattr(decode, "can_step", lambda *_asked: False)
    twin = write(model, **asked)
    assert [each.tokens for each in mine] == [each.tokens for each in twin]
    for ours, theirs in zip(mine, twin, strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


@pytest.mark.needs_compiler
@pytest.mark.parametrize("speculation", ["none", "ngram", "mtp"])
def test_an_engine_with_the_compiled_step_writes_as_one_without(
    speculation, monkeypatch
):
    model = make(PICO.replace(initializer_range=0.1))
    # few blocks: some must wait, and prompts are read in chunks
    settings = EngineSettings(
        blocks=40, block_size=4, token_budget=24, speculation=speculation
    )

    def serve() -> dict[int, list[int]]:
        engine = Engine(model, settings=settings)
        written: dict[int, list[int]] = {}
        for row in range(9):
            engine.submit([1, row] * (1 + row), Sampling(temperature=0, max_tokens=20))
        while engine.has_work:
            for output in engine.step():
                written.setdefault(output.request, []).extend(output.tokens)
        assert (engine.runner.native is not None) == is_native
        return written

    is_native = True
    mine = serve()
    monkeypatch.setattr(runner, "can_step", lambda _model: False)
    is_native = False
    assert serve() == mine


def test_little_work_is_not_worth_compiling(monkeypatch):
    monkeypatch.setattr(native, "library", lambda: pytest.fail("it was compiled"))
    assert not can_step(make(PICO), native_step.PAYS_FROM - 1)


@pytest.mark.parametrize(
    "changes",
    [{"q_lora_rank": 16}, {"n_group": 2}, {"num_attention_heads": 6}],
    ids=str,
)
def test_other_shapes_are_left_to_the_joined_step(changes, monkeypatch):
    monkeypatch.setattr(native, "library", lambda: pytest.fail("it was compiled"))
    assert not can_step(make(PICO.replace(**changes)))


@pytest.mark.needs_compiler
def test_a_learners_own_function_keeps_the_compiled_step_away():
    model = make(PICO)
    assert can_step(model)
    symbol = "sparrow.model.moe:gate"
    owner, name = library.locate(symbol)
    original = owner.__dict__[name]
    library.replace(symbol, lambda *args: original(*args))
    try:
        assert not can_step(model)
    finally:
        library.put_back(symbol)
    assert can_step(model)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A machine on which nothing was compiled yet."""
    monkeypatch.setenv("SPARROW_CACHE", str(tmp_path))
    native.library.cache_clear()
    yield tmp_path
    native.library.cache_clear()


def test_without_a_compiler_everything_works_as_before(fresh, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert native.library() is None
    assert not can_step(make(PICO))
    assert len(write(make(PICO))) == 80
    assert not list(fresh.iterdir())
