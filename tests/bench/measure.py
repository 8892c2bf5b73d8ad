"""Run two things in turn, so that a slow moment of the machine hits both."""

import gc
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import torch

from sparrow.runtime import atomic_write, machine, processor

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One comparison; a ratio above 1 is better for us."""

    name: str
    what: str
    ours: float
    peer: float
    ratio: float
    ratio_low: float  # the middle half of the paired ratios
    ratio_high: float
    unit: str
    peer_name: str
    pairs: int
    notes: dict[str, object] = field(default_factory=dict)


def compare_rates(
    ours: Callable[[], None], peer: Callable[[], None], work: float, pairs: int
) -> dict[str, float]:
    """Time both in turn; rates (work per second) by the median, ratios by pairs.

    Args:
        ours: one run of ours.
        peer: one run of the peer.
        work: how much each run does, such as tokens.
        pairs: how many pairs are counted, after one that is not.
    """
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for pair in range(pairs + 1):
        for side, run in (("ours", ours), ("peer", peer)):
            gc.collect()
            started = time.perf_counter()
            run()
            if pair:
                seconds[side].append(time.perf_counter() - started)
    ratios = [
        peer_s / ours_s
        for ours_s, peer_s in zip(seconds["ours"], seconds["peer"], strict=True)
    ]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ours": work / statistics.median(seconds["ours"]),
        "peer": work / statistics.median(seconds["peer"]),
        "ratio": middle,
        "ratio_low": low,
        "ratio_high": high,
        "pairs": pairs,
    }


def write(result: Result) -> Path:
    """Keep a result with the machine, the commit and the date."""
    here = machine()
    told = asdict(result) | {
        "machine": {
            "processor": processor(),
            "cores": here.cores,
            "threads": torch.get_num_threads(),
            "memory_gib": round(here.memory_gib, 1),
            "device": here.device_name,
            "python": here.python,
            "torch": here.torch,
        },
        "commit": _commit(),
        "date": date.today().isoformat(),
    }
    path = RESULTS / f"{result.name}.json"
    with atomic_write(path) as file:
        file.write(json.dumps(told, indent=2).encode() + b"\n")
    return path


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=RESULTS,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
