"""Our model beside transformers' DeepseekV3ForCausalLM of one shape, on the CPU."""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from sparrow import Config, Sparrow, runtime
from sparrow.decode import generate as write_tokens
from sparrow.model.cache import bytes_per_token
from sparrow.model.compiled import compile_layers
from tests.bench.measure import Result, compare_rates

PEER = "transformers DeepseekV3ForCausalLM"
BATCH, LENGTH = 64, 80  # a batch of Countdown problems with their traces
REQUESTS, PROMPT, NEW, GROUP = 256, 16, 64, 8


def as_peer(ours: Sparrow) -> Any:
    """The same weights in transformers' own class."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        ours.save_pretrained(folder)
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32
        )


def pair(config: Config) -> tuple[Sparrow, Any]:
    """Two models with the same weights: ours, and transformers' own."""
    torch.manual_seed(0)
    ours = Sparrow(config)
    return ours, as_peer(ours)


def _training_step(
    model: torch.nn.Module,
    forward: Callable[[torch.Tensor], torch.Tensor],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy,
) -> Callable[[], None]:
    """Forward, backward and AdamW on one fixed batch."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(512, (BATCH, LENGTH), generator=draw)
    target = ids.roll(-1, dims=1)
    target[:, -1] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        logits = forward(ids)
        loss(logits.flatten(0, 1), target.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def train() -> Result:
    """One training step of pico, without MTP, which the peer does not train.

    Ours uses what training uses: the faster of two matrix libraries, and compiled
    layers. The peer is as a user gets it; the notes say what each part gives, and what
    the peer gains from the same library.
    """
    config = Config.preset("pico").replace(num_nextn_predict_layers=0)
    ours, peer = pair(config)
    fused = Sparrow(config)
    fused.load_state_dict(ours.state_dict())
    is_compiled = compile_layers(fused)
    loss = torch.compile(F.cross_entropy) if is_compiled else F.cross_entropy
    our_step = _training_step(ours, ours)
    fused_step = _training_step(fused, fused, loss)
    peer_step = _training_step(peer, lambda ids: peer(ids, use_cache=False).logits)

    def with_fast_matmul(step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with runtime.fast_matmul():
                step()

        return run

    started = time.perf_counter()
    with_fast_matmul(fused_step)()
    compile_s = time.perf_counter() - started

    def ratio(mine: Callable[[], None], theirs: Callable[[], None]) -> float:
        return compare_rates(mine, theirs, BATCH * LENGTH, pairs=7)["ratio"]

    figures = compare_rates(
        with_fast_matmul(fused_step), peer_step, BATCH * LENGTH, pairs=15
    )
    with runtime.fast_matmul() as library:
        pass
    return Result(
        name="train",
        what=f"pico training step, {BATCH} × {LENGTH} tokens, fp32, AdamW",
        unit="tokens/s",
        peer_name=PEER,
        notes={
            "our_matmul_library": library,
            "our_layers_are_compiled": is_compiled,
            "seconds_to_compile": compile_s,
            "ratio_without_compiling": ratio(with_fast_matmul(our_step), peer_step),
            "ratio_with_pytorchs_default_library": ratio(our_step, peer_step),
            "ratio_if_both_use_the_faster_library_and_neither_compiles": ratio(
                with_fast_matmul(our_step), with_fast_matmul(peer_step)
            ),
        },
        **figures,  # type: ignore[arg-type]
    )


def generate() -> Result:
    """Sample 64 tokens for each of 256 different prompts."""
    return _sampling("generate", REQUESTS)


def generate_groups() -> Result:
    """The same for 32 prompts, 8 times each: a step of reinforcement learning."""
    return _sampling("generate_groups", REQUESTS // GROUP)


def _sampling(name: str, different: int) -> Result:
    """256 requests, of which so many are different."""
    config = Config.preset("pico").replace(num_nextn_predict_layers=0)
    ours, peer = pair(config)
    ours.eval()
    peer.eval()
    draw = torch.Generator().manual_seed(1)
    prompts = torch.randint(512, (different, PROMPT), generator=draw)
    prompts = prompts.repeat_interleave(REQUESTS // different, dim=0)
    lists = prompts.tolist()

    def our_run() -> None:
        write_tokens(ours, lists, max_new_tokens=NEW, generator=draw)

    def peer_run() -> None:
        peer.generate(
            prompts,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=True,
            top_k=0,
            pad_token_id=0,
        )

    return Result(
        name=name,
        what=f"pico sampling, {REQUESTS} requests ({different} different prompts "
        f"of {PROMPT} tokens) × {NEW} tokens, fp32",
        unit="tokens/s",
        peer_name=f"{PEER}.generate",
        **compare_rates(our_run, peer_run, REQUESTS * NEW, pairs=7),  # type: ignore[arg-type]
    )


def cache_bytes() -> Result:
    """Bytes of cache that one token really occupies, on both sides."""
    config = Config.preset("pico").replace(num_nextn_predict_layers=0)
    ours, peer = pair(config)
    ids = torch.randint(512, (1, PROMPT))
    with torch.no_grad():
        cache = ours.new_cache(1, PROMPT)
        ours(ids, cache=cache)
        past = peer(ids, use_cache=True).past_key_values
    kept = [tensor for layer in past.layers for tensor in (layer.keys, layer.values)]
    peer_bytes = sum(each.numel() * each.element_size() for each in kept) / PROMPT
    our_bytes = cache.bytes_used / PROMPT
    heads = config.num_attention_heads
    head = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    ratio = peer_bytes / our_bytes
    return Result(
        name="cache_bytes",
        what="pico cache, fp32, one token",
        ours=our_bytes,
        peer=peer_bytes,
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        unit="bytes/token",
        peer_name=PEER,
        pairs=1,
        notes={
            "formula": bytes_per_token(config, 4),
            "if_keys_and_values_were_expanded": heads
            * head
            * config.num_hidden_layers
            * 4,
        },
    )
