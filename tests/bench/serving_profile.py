"""Where the time of one step goes when SmolLM2-135M is served, beside its limits.

python -m tests.bench.serving_profile [float32|int8|int4 …]
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from sparrow import Sparrow, quant
from sparrow.serve import Engine, EngineSettings, Sampling, engine, runner
from tests.bench import serving

KINDS = ("float32", "int8", "int4")
CROWDS = (1, serving.CROWD)
STEPS = 24
SHOWN = 8  # kinds of operations
# What a step is made of, and where it is called. "scores" is the model.
PARTS = {
    "plan": (engine.Scheduler, "plan"),
    "batch": (runner.Runner, "batch"),
    "scores": (runner.Runner, "scores"),
    "draw": (engine.Engine, "_draw"),
    "step": (engine.Engine, "step"),
}


def main(argv: Sequence[str]) -> int:
    """Profile the named kinds of weights, or all."""
    if unknown := [each for each in argv if each not in KINDS]:
        known = ", ".join(KINDS)
        print(f"no weights named {unknown[0]}; choose from: {known}.", file=sys.stderr)
        return 2
    console = Console()
    original = serving.model_named(serving.SMOLLM2)
    for kind in argv or KINDS:
        model = original if kind == "float32" else quant.quantize(original, kind)
        for crowd in CROWDS:
            console.print(_table(kind, model, crowd))
    return 0


def _table(kind: str, model: Sparrow, crowd: int) -> Table:
    """Milliseconds of a step by part, and its most costly operations."""
    server = _writing(model, crowd)
    with _timed() as seconds:
        for _step in range(STEPS):
            server.step()
    table = Table("Part", "ms", title=f"{kind}, {crowd} at once, one step")
    for part in PARTS:
        table.add_row(part, f"{statistics.median(seconds[part]) * 1e3:.2f}")
    table.add_section()
    for name, spent_s in _operations(server)[:SHOWN]:
        table.add_row(name, f"{spent_s * 1e3:.2f}")
    table.add_section()
    limits = serving.limits(model, crowd, serving.NEW)
    for name in ("memory_gb_per_s", "float32_gflop_per_s"):
        table.add_row(name, f"{limits[name]:.0f}")
    table.add_row(
        "limit of memory", f"{1e3 / limits['steps_per_s_that_memory_allows']:.2f}"
    )
    flop = 2 * crowd * serving.active_parameters(model.config)
    limit_s = flop / (limits["float32_gflop_per_s"] * 1e9)
    table.add_row("limit of float32 products", f"{limit_s * 1e3:.2f}")
    return table


def _writing(model: Sparrow, crowd: int) -> Engine:
    """A server whose requests have read their prompts."""
    blocks = crowd * ((serving.PROMPT + serving.NEW) // 16 + 1)
    room = EngineSettings(blocks=blocks, token_budget=2048, prefix_cache=False)
    server = Engine(model, settings=room)
    for prompt in serving.prompts_for(crowd, serving.SMOLLM2):
        server.submit(prompt, Sampling(temperature=0.0, max_tokens=serving.NEW))
    for _warm_up in range(4):
        server.step()
    return server


@contextmanager
def _timed() -> Iterator[dict[str, list[float]]]:
    """Note how long each part takes."""
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}
    before = [getattr(owner, name) for owner, name in PARTS.values()]

    def watched(
        call: Callable[..., object], noted: list[float]
    ) -> Callable[..., object]:
        def run(*given: object) -> object:
            started = time.perf_counter()
            answer = call(*given)
            noted.append(time.perf_counter() - started)
            return answer

        return run

    try:
        for (part, (owner, name)), call in zip(PARTS.items(), before, strict=True):
            setattr(owner, name, watched(call, seconds[part]))
        yield seconds
    finally:
        for (owner, name), call in zip(PARTS.values(), before, strict=True):
            setattr(owner, name, call)


def _operations(server: Engine) -> list[tuple[str, float]]:
    """PyTorch's operations by the seconds a step spends in each, longest first."""
    turns = 3
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _turn in range(turns):
            server.step()
    spent = [
        (each.key, each.self_cpu_time_total / turns / 1e6)
        for each in found.key_averages()
    ]
    return sorted(spent, key=lambda each: -each[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
