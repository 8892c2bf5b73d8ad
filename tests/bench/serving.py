"""Our engine beside llama.cpp and transformers, on the CPU, with real weights.

Each comparison says how fast the memory of this machine can be read and how fast it
multiplies, and how many tokens a second that would allow: a step reads every weight
once, whoever waits for it, and multiplies by it once for each token. Where the time of
one step really goes is shown by `python -m tests.bench.serving_profile`.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from sparrow import Sparrow, assets, checkpoints, quant, runtime
from sparrow.cost.training import active_parameters
from sparrow.evaluate import quantized_runs
from sparrow.model import named
from sparrow.serve import Engine, EngineSettings, Sampling
from tests.bench.measure import Result, compare_rates
from tests.bench.model_speed import as_peer

__all__ = [
    "serve_batch_vs_transformers",
    "serve_pico_vs_transformers",
    "serve_single_vs_llamacpp",
]

PROMPT, NEW = 24, 128
CROWD, CROWD_NEW = 32, 48
PICO_CROWD, PICO_NEW = 256, 64
SMOLLM2 = "smollm2"
LLAMA = "llama.cpp (llama-cpp-python), Q4_1"
READ_BYTES = 2**28  # larger than any cache
SIDE = 1024  # of the matrices that are multiplied to see how fast this machine is
Prompts = list[list[int]]


def serve_single_vs_llamacpp() -> Result:
    """One request to SmolLM2-135M, greedy: prompt and answer."""
    import llama_cpp

    prompts = prompts_for(1, SMOLLM2)
    peer = llama_cpp.Llama(
        model_path=str(next(assets.find(SMOLLM2).glob("*.gguf"))),
        n_ctx=PROMPT + NEW,
        n_threads=torch.get_num_threads(),
        n_threads_batch=torch.get_num_threads(),
        verbose=False,
    )

    def peer_run() -> None:
        peer.reset()  # type: ignore[no-untyped-call]
        writing = peer.generate(prompts[0], temp=0.0, top_k=1)
        for _token, _count in zip(writing, range(NEW), strict=False):
            pass

    original = model_named(SMOLLM2)
    notes: dict[str, object] = {}
    found = {}
    for scheme in ("int8", "int4"):
        few_bits = quant.quantize(original, scheme)
        mine = _serving(few_bits, prompts, NEW)
        found[scheme] = compare_rates(mine, peer_run, NEW, pairs=5)
        notes[scheme] = found[scheme] | limits(few_bits, 1, NEW) | _price(scheme)
    notes["fp32"] = compare_rates(
        _serving(original, prompts, NEW), peer_run, NEW, pairs=3
    ) | limits(original, 1, NEW)
    best = max(found, key=lambda scheme: found[scheme]["ratio"])
    return Result(
        name="serve_single_vs_llamacpp",
        what=f"SmolLM2-135M, one request of {PROMPT} + {NEW} tokens, greedy, {best}",
        unit="tokens/s",
        peer_name=LLAMA,
        notes=notes,
        **found[best],  # type: ignore[arg-type]
    )


def serve_batch_vs_transformers() -> Result:
    """32 requests to SmolLM2-135M at once; the peer's ways in float32."""
    import transformers

    transformers.logging.set_verbosity_error()
    original, prompts = model_named(SMOLLM2), prompts_for(CROWD, SMOLLM2)
    peer = as_peer(original).eval()
    work = CROWD * CROWD_NEW
    peer_run = _generate(peer, prompts, CROWD_NEW)
    ours = _serving(original, prompts, CROWD_NEW)
    figures = compare_rates(ours, peer_run, work, pairs=3)
    notes: dict[str, object] = {**limits(original, CROWD, CROWD_NEW)}
    notes["beside continuous batching"] = _beside_continuous_batching(
        peer, prompts, ours
    )
    for scheme in ("int8", "int8-dynamic", "int4"):
        few_bits = quant.quantize(original, scheme)
        mine = _serving(few_bits, prompts, CROWD_NEW)
        notes[scheme] = (
            compare_rates(mine, peer_run, work, pairs=2)
            | limits(few_bits, CROWD, CROWD_NEW)
            | _price(scheme)
        )
    return Result(
        name="serve_batch_vs_transformers",
        what=f"SmolLM2-135M, {CROWD} requests of {PROMPT} + {CROWD_NEW} tokens at "
        "once, greedy, fp32",
        unit="tokens/s",
        peer_name="transformers LlamaForCausalLM.generate, fp32",
        notes=notes,
        **figures,  # type: ignore[arg-type]
    )


def serve_pico_vs_transformers() -> Result:
    """256 requests to pico at once."""
    model = Sparrow.from_pretrained(checkpoints.find("pico-r1")).eval()
    prompts = prompts_for(PICO_CROWD, "pico-r1")
    figures = compare_rates(
        _serving(model, prompts, PICO_NEW),
        _generate(as_peer(model).eval(), prompts, PICO_NEW),
        PICO_CROWD * PICO_NEW,
        pairs=5,
    )
    return Result(
        name="serve_pico_vs_transformers",
        what=f"pico, {PICO_CROWD} requests of {PROMPT} + {PICO_NEW} tokens at once, "
        "greedy, fp32",
        unit="tokens/s",
        peer_name="transformers DeepseekV3ForCausalLM.generate, fp32",
        notes={**limits(model, PICO_CROWD, PICO_NEW)},
        **figures,  # type: ignore[arg-type]
    )


def model_named(name: str) -> Sparrow:
    return Sparrow.from_pretrained(named.folder_of(name)).eval()


def prompts_for(count: int, name: str) -> Prompts:
    """Different prompts of one length: what they say does not matter for speed."""
    most = 40_000 if name == SMOLLM2 else 500
    draw = torch.Generator().manual_seed(1)
    return torch.randint(100, most, (count, PROMPT), generator=draw).tolist()


def _serving(model: Sparrow, prompts: Prompts, new: int) -> Callable[[], None]:
    """All requests at once, from the first token to the last; nothing is cached."""
    blocks = len(prompts) * ((PROMPT + new) // 16 + 1)
    room = EngineSettings(blocks=blocks, token_budget=2048, prefix_cache=False)
    engine = Engine(model, settings=room)

    def run() -> None:
        for prompt in prompts:
            engine.submit(prompt, Sampling(temperature=0.0, max_tokens=new))
        while engine.has_work:
            engine.step()

    return run


def _generate(peer: Any, prompts: Prompts, new: int) -> Callable[[], None]:
    ids = torch.tensor(prompts)
    return partial(
        peer.generate,
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        min_new_tokens=new,
        do_sample=False,
        pad_token_id=0,
    )


def _beside_continuous_batching(
    peer: Any, prompts: Prompts, ours: Callable[[], None]
) -> object:
    """The ratio to transformers' own engine, or why it does not run here."""
    from transformers import GenerationConfig

    chosen = GenerationConfig(
        max_new_tokens=CROWD_NEW, do_sample=False, eos_token_id=-1, pad_token_id=0
    )

    def run() -> None:
        told = peer.generate_batch(
            prompts, generation_config=chosen, progress_bar=False
        )
        written = [len(each.generated_tokens) for each in told.values()]
        if written != [CROWD_NEW] * CROWD:
            raise RuntimeError(f"it wrote {written} tokens")

    try:
        return compare_rates(ours, run, CROWD * CROWD_NEW, pairs=2)
    except Exception as error:  # a peer that fails is a finding, not our failure
        return f"it does not run on this machine: {type(error).__name__}: {error}"


def limits(model: Sparrow, crowd: int, new: int) -> dict[str, float]:
    """What the machine allows: bytes to read, and sums to make, of all requests.

    Every token of a prompt is read, and only its last one is scored. Attention, a few
    per cent here, is left out.
    """
    weights = {
        each.data_ptr(): each.numel() * each.element_size()
        for each in (*model.parameters(), *model.buffers())
    }
    embedding = model.embed_tokens.weight
    size = sum(weights.values())
    if not (model.config.tie_word_embeddings or quant.is_quantized(model)):
        size -= embedding.numel() * embedding.element_size()  # read by rows
    config = model.config.replace(num_nextn_predict_layers=0)  # they are not served
    head = config.vocab_size * config.hidden_size
    layers = active_parameters(config) - head
    flop = 2 * crowd * ((PROMPT + new) * layers + new * head)
    speed, flop_per_s = _bytes_per_second(), _flop_per_s()
    return {
        "bytes_a_step": size,
        "memory_gb_per_s": speed / 1e9,
        "steps_per_s_that_memory_allows": speed / size,
        "tokens_per_s_that_memory_allows": crowd * speed / size,
        "gflop": flop / 1e9,
        "float32_gflop_per_s": flop_per_s / 1e9,
        "tokens_per_s_that_float32_allows": crowd * new * flop_per_s / flop,
    }


def _flop_per_s() -> float:
    """How fast this machine multiplies in float32: the best of several products."""
    side = torch.ones(SIDE, SIDE)
    seconds = []
    with runtime.fast_matmul():
        for _turn in range(8):
            started = time.perf_counter()
            side @ side
            seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds)


def _bytes_per_second() -> float:
    """How fast this machine reads memory: the best of several sums."""
    much = torch.ones(READ_BYTES // 4, dtype=torch.int32)
    seconds = []
    for _turn in range(5):
        started = time.perf_counter()
        much.sum(dtype=torch.int32)
        seconds.append(time.perf_counter() - started)
    return READ_BYTES / min(seconds)


def _price(scheme: str) -> dict[str, object]:
    """What the scheme changes, as it was recorded for SmolLM2."""
    rows: Sequence[Any] = [
        each.row
        for each in quantized_runs.shipped(SMOLLM2)
        if each.row.scheme == scheme
    ]
    changes = [each.perplexity_change for each in rows]
    return {"perplexity_change": [(each.low, each.high) for each in changes]}
