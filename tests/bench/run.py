"""`make bench`: run the comparisons side by side, print them, keep them as JSON.

python -m tests.bench.run [NAME …]
"""

import sys
from collections.abc import Callable, Sequence

import torch
from rich.console import Console
from rich.table import Table

from tests.bench import grading, model_speed, reinforcement, serving, training
from tests.bench.measure import Result, write

BENCHES: dict[str, Callable[[], Result]] = {
    "train": model_speed.train,
    "pretrain": training.pretrain,
    "generate": model_speed.generate,
    "generate_groups": model_speed.generate_groups,
    "cache_bytes": model_speed.cache_bytes,
    "grpo_step": reinforcement.grpo_step,
    "grpo_cost_to_accuracy": reinforcement.grpo_cost_to_accuracy,
    "grade_vs_nbgrader": grading.grade_vs_nbgrader,
    "serve_single_vs_llamacpp": serving.serve_single_vs_llamacpp,
    "serve_batch_vs_transformers": serving.serve_batch_vs_transformers,
    "serve_pico_vs_transformers": serving.serve_pico_vs_transformers,
}


def main(argv: Sequence[str]) -> int:
    """Run the named comparisons, or all of them."""
    unknown = [name for name in argv if name not in BENCHES]
    if unknown:
        known = ", ".join(BENCHES)
        print(f"no bench named {unknown[0]}; choose from: {known}.", file=sys.stderr)
        return 2
    torch.set_num_threads(max(torch.get_num_threads(), 1))
    table = Table("Name", "Ours", "Peer", "Ratio", "Middle half", "Unit")
    console = Console()
    for name in argv or BENCHES:
        console.print(f"running {name} …", style="dim")
        result = BENCHES[name]()
        write(result)
        table.add_row(
            name,
            f"{result.ours:,.0f}",
            f"{result.peer:,.0f}",
            f"{result.ratio:.2f}×",
            f"{result.ratio_low:.2f} to {result.ratio_high:.2f}",
            result.unit,
        )
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
