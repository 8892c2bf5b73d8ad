"""Compiled arithmetic on codes gives what its plain twins give, and can be missing."""

import pytest
import torch

from sparrow import Config, Sparrow, quant, runtime
from sparrow import native as compiler
from sparrow.model.joined import JoinedStep
from sparrow.quant import SCHEMES, Scheme, convert, native, native_step, whole
from sparrow.quant import joined as codes
from sparrow.quant.linear import AffineLinear, DynamicLinear
from sparrow.serve import Engine, Sampling

LLAMA = Config(
    attention="gqa",
    feed_forward="dense",
    vocab_size=64,
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    intermediate_size=128,
    max_position_embeddings=64,
    initializer_range=0.2,
)
KINDS = {
    "int8": SCHEMES["int8"],
    "int8-dynamic": SCHEMES["int8-dynamic"],
    "int4": SCHEMES["int4"],
    "int4, groups of 64, symmetric": Scheme(bits=4, group_size=64),
}


OLDER = "-march=x86-64-v3"  # AVX2, and no instruction for bytes


@pytest.fixture(autouse=True)
def _small_is_large_enough(monkeypatch):
    monkeypatch.setattr(native, "SMALL", 0)


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """The C++ as it is compiled on a laptop of some years ago."""
    flags = tuple(OLDER if "march" in each else each for each in compiler.FLAGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "FLAGS", flags)
        patch.setattr(runtime, "cache_folder", lambda: tmp_path_factory.mktemp("older"))
        return native.library.__wrapped__()


@pytest.fixture(params=["this processor", "an older one"])
def processor(request, monkeypatch, older):
    if request.param == "an older one":
        monkeypatch.setattr(native, "library", lambda: older)


def llama(scheme: Scheme | None) -> Sparrow:
    torch.manual_seed(0)
    model = Sparrow(LLAMA).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name:
                tensor.uniform_(0.5, 1.5)
    return model if scheme is None else quant.quantize(model, scheme)


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("rows", [1, 3, 4, 9, 25])
@pytest.mark.parametrize("shape", [(64, 128), (48, 64), (32, 1536)])
@pytest.mark.parametrize("scheme", KINDS.values(), ids=KINDS)
def test_a_compiled_product_is_that_of_its_plain_twin(scheme, shape, rows):
    layer = convert.quantize_matrix(torch.randn(shape) / shape[1] ** 0.5, scheme)
    by = layer.native()
    assert by is not None
    x = torch.randn(rows, shape[1]) * torch.logspace(-3, 3, rows)[:, None]
    expected = layer.plain(x)
    found = native.multiply(x, by)
    # Rows have 13 bits and more beside the sign; with 8, the twin rounds alike.
    size = x.abs().amax(dim=-1, keepdim=True)
    assert ((found - expected).abs() <= 2**-12 * size).all()
    assert (found.abs() > 0.01 * size).any()
    alone = torch.cat([native.multiply(row[None], by) for row in x])
    assert alone.equal(found)


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("rows", [1, 11, 12, 13, 32])
@pytest.mark.parametrize("shape", [(64, 128), (96, 33)])
def test_a_compiled_product_of_floats_is_that_of_pytorch(shape, rows):
    weight, x = torch.randn(shape), torch.randn(rows, shape[1])
    by = native.floats(weight)
    assert by is not None
    found = native.multiply(x, by)
    # float32 sums of some hundred products, in another order
    torch.testing.assert_close(found, x @ weight.T, atol=5e-5, rtol=0)
    alone = torch.cat([native.multiply(row[None], by) for row in x])
    assert alone.equal(found)


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("scheme", KINDS.values(), ids=KINDS)
def test_a_row_of_zeros_gives_zeros(scheme):
    by = convert.quantize_matrix(torch.randn(32, 64), scheme).native()
    assert by is not None
    assert native.multiply(torch.zeros(1, 64), by).equal(torch.zeros(1, 32))


@pytest.mark.parametrize(
    ("shape", "scheme"),
    [
        ((12, 64), Scheme()),
        ((16, 24), Scheme()),
        ((16, 48), Scheme(bits=4, group_size=16)),
    ],
    ids=["outputs", "inputs", "groups"],
)
def test_shapes_that_the_compiled_code_does_not_know_are_left_to_pytorch(shape, scheme):
    layer = convert.quantize_matrix(torch.randn(shape), scheme)
    assert layer.native() is None
    assert layer(torch.ones(1, shape[1])).shape == (1, shape[0])


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("scheme", [None, *KINDS.values()], ids=["floats", *KINDS])
def test_a_compiled_step_scores_as_the_joined_step_does(scheme, monkeypatch):
    model = llama(scheme)
    prompts = [[row, *range(5, 5 + 9 * row)] for row in range(6)]
    written = []
    for is_native in (True, False):
        if not is_native:
            monkeypatch.setattr(native, "library", lambda: None)
            for kind in (AffineLinear, DynamicLinear):
                monkeypatch.setattr(kind, "flat", kind.plain)
        engine = Engine(model)
        assert (engine.runner.heads is not None) == is_native
        for prompt in prompts:
            engine.submit(prompt, asked(3))
        written.append(serve(engine))
    # With eight bits, a sum in another order makes some roundings fall otherwise.
    close = 1e-5
    if scheme is not None:
        close = 0.06 if scheme.activations == "int8" else 2e-3
    for mine, twin in zip(*written, strict=True):
        assert mine[0] == twin[0]
        assert mine[1] == pytest.approx(twin[1], abs=close)


@pytest.mark.needs_compiler
@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("kind", ["floats", *KINDS])
def test_who_else_is_served_changes_nothing(kind):
    model = llama(KINDS.get(kind))
    prompts = [[row, *range(5, 5 + 4 * row)] for row in range(7)]
    together, alone = Engine(model), []
    for prompt in prompts:
        together.submit(prompt, asked(5))
        single = Engine(model)
        single.submit(prompt, asked(5))
        alone += serve(single)
    for crowded, single in zip(serve(together), alone, strict=True):
        assert crowded == single  # to the last bit


def asked(tokens: int) -> Sampling:
    return Sampling(temperature=0, max_tokens=tokens, logprobs=0)


def serve(engine: Engine) -> list[tuple[list[int], list[float]]]:
    """The tokens and log-probabilities of each request."""
    found: dict[int, tuple[list[int], list[float]]] = {}
    while engine.has_work:
        for output in engine.step():
            tokens, logprobs = found.setdefault(output.request, ([], []))
            tokens += output.tokens
            logprobs += output.logprobs or []
    return [found[each] for each in sorted(found)]


def test_a_model_with_other_parts_has_no_compiled_step():
    few_bits = quant.quantize(Sparrow(LLAMA.replace(hidden_size=72)), "int8")
    step = JoinedStep(few_bits, join=codes.join)
    pages = [torch.zeros(4, 4, 64)] * LLAMA.num_hidden_layers
    assert native_step.heads_step(step, pages) is None


def test_whole_numbers_are_multiplied_exactly_without_instructions_for_it():
    x, y = (torch.randint(-127, 128, (n, 1536), dtype=torch.int8) for n in (3, 8))
    exact = x.long() @ y.long().T
    assert whole._in_floats(x, y).long().equal(exact)
    assert whole.product(x.expand(3, -1), y).long().equal(exact)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache, and nothing loaded."""
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path)
    native.library.cache_clear()
    yield tmp_path
    native.library.cache_clear()


def test_without_a_compiler_pytorch_does_the_work(fresh, monkeypatch):
    monkeypatch.setattr(compiler, "COMPILER", "no-such-compiler")
    layer = convert.quantize_matrix(torch.randn(16, 32), SCHEMES["int8"])
    assert layer.native() is None
    x = torch.randn(1, 32)
    torch.testing.assert_close(layer(x), layer.plain(x), atol=0.05, rtol=0)
