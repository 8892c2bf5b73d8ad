"""What lab 07 leaves can be asked again, and nothing that is shipped counts as own."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from sparrow import Sparrow, checkpoints
from sparrow.errors import CheckpointError, UsageError
from sparrow.evaluate import run as evaluation
from sparrow.rl import evidence, recorded
from sparrow.train.handed_in import Weights
from sparrow.verify import Countdown

CLAIM = {"gain": 0.25, "low": 0.1, "high": 0.4}
LINE: dict[str, Any] = dict.fromkeys(
    [
        *("correctness", "format", "legality", "length", "backtracks"),
        *("unfinished_frac", "entropy", "degenerate_frac", "answers", "learned"),
        *("kl", "clip_low_frac", "clip_high_frac", "loss", "gradient_norm"),
        *("learning_rate", "seconds", "tokens_per_s"),
    ],
    0,
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two problems, and the shipped base model in place of the cold start."""
    monkeypatch.setattr(evidence, "BEFORE", "pico-base")
    problems = (Countdown((3, 7, 8), 29), Countdown((1, 2, 3), 6))
    monkeypatch.setattr(evidence, "examination", lambda: problems)
    short = partial(evaluation.ask, max_new_tokens=2)
    monkeypatch.setattr(evaluation, "ask", short)
    monkeypatch.setattr(checkpoints, "names", lambda: ["pico-base"])


def run_of(folder: Path, noise: float, seed: int = 1) -> Path:
    """A finished run: the shipped model, moved by so much in every weight."""
    model, tokenizer = evidence.opened(checkpoints.find("pico-base"))
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in model.parameters():
            each += noise * torch.randn(each.shape, generator=draw)
    model.save_pretrained(folder / "model")
    tokenizer.save(folder / "model")
    (folder / "recipe.json").write_text(json.dumps({"seed": 7, "init": "pico-base"}))
    lines = [
        {"kind": "exam", "step": 0, "pass1": 0.3},
        *({**LINE, "kind": "rollouts", "step": n, "reward": n / 4} for n in (1, 2, 3)),
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


def test_what_is_left_can_be_read_and_asked_again(tmp_path: Path) -> None:
    path = evidence.leave(
        tmp_path / evidence.FILE, run=run_of(tmp_path, 0.01), claim=CLAIM
    )
    assert path.stat().st_size < 28 * 1024**2
    found = evidence.read(path.read_bytes())
    assert found.rewards == [0.25, 0.5, 0.75]
    assert found.recipe["seed"] == 7
    assert found.claim == CLAIM
    evidence.refuse_shipped(found)
    measured = evidence.measured(found)
    own = Sparrow.from_pretrained(tmp_path / "model").eval()
    _model, tokenizer = evidence.opened(checkpoints.find("pico-base"))
    assert measured["after"] == evidence.solved(own, tokenizer)
    assert len(measured["before"]) == 2


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_a_shipped_model_is_refused_even_with_a_little_noise(
    tmp_path: Path, noise: float
) -> None:
    path = evidence.leave(
        tmp_path / evidence.FILE, run=run_of(tmp_path, noise), claim=CLAIM
    )
    with pytest.raises(CheckpointError, match="a model that travels with the package"):
        evidence.refuse_shipped(evidence.read(path.read_bytes()))


def test_what_went_the_way_of_a_shipped_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixed with its beginning, gone further, or a little noise: nobody trained it."""
    other = run_of(tmp_path / "other", 0.01) / "model"
    own = run_of(tmp_path / "own", 0.01, seed=2) / "model"
    start = checkpoints.find("pico-base")
    folders = {"pico-base": start, "pico-grpo": other}
    monkeypatch.setattr(checkpoints, "names", lambda: list(folders))
    monkeypatch.setattr(checkpoints, "find", folders.__getitem__)
    first, last, mine = (
        Sparrow.from_pretrained(each).state_dict() for each in (start, other, own)
    )
    for part in (0.1, 0.5, 1.0, 1.5):
        mixed = {name: first[name].lerp(last[name], part) for name in first}
        with pytest.raises(CheckpointError, match="This is pico-grpo"):
            evidence.refuse_shipped(evidence_of(mixed))
    noisy = {name: last[name].lerp(mine[name], 0.3) for name in first}
    with pytest.raises(CheckpointError, match="This is pico-grpo"):
        evidence.refuse_shipped(evidence_of(noisy))
    evidence.refuse_shipped(evidence_of(mine))


def evidence_of(weights: Weights) -> evidence.Evidence:
    return evidence.Evidence(
        weights=weights, config={}, recipe={}, rewards=[], claim={}
    )


def test_a_run_that_has_not_ended_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="let it come to its end"):
        evidence.leave(tmp_path / "x", run=tmp_path, claim=CLAIM)
    with pytest.raises(UsageError, match="let it come to its end"):
        recorded.record("seed 1", tmp_path)
    assert recorded.main([f"seed 1={tmp_path}"]) == 2


DAMAGED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "noise": lambda: bytes(range(256)) * 9,
    "no words": lambda: save({"model.a": torch.ones(2)}),
    "words of another kind": lambda: save(
        {"model.a": torch.ones(2)}, {"evidence": "[]"}
    ),
    "no claim": lambda: save({"model.a": torch.ones(2)}, {"evidence": "{}"}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_words(name: str) -> None:
    with pytest.raises(CheckpointError, match="is damaged"):
        evidence.read(DAMAGED[name]())


@pytest.mark.parametrize("config", [{}, {"hidden_size": -1}, {"no_field": 1}])
def test_weights_of_no_configuration_are_refused(config: dict[str, Any]) -> None:
    found = evidence.Evidence(
        weights={"a": torch.ones(2)}, config=config, recipe={}, rewards=[], claim={}
    )
    with pytest.raises(CheckpointError, match="is damaged"):
        evidence.measured(found)


def test_a_recorded_run_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    run = recorded.record("seed 7", run_of(tmp_path, 0.01))
    assert run.seed == 7
    assert run.reward == (0.25, 0.5, 0.75)
    assert len(run.before) == len(run.after) == 2
    path = tmp_path / "runs.jsonl"
    path.write_text(recorded.written(run) + "\n")
    assert recorded.read(path) == {"seed 7": run}
    assert recorded.read(tmp_path / "none.jsonl") == {}
