"""What lab 06 leaves is measured again, and nobody hands in a model of ours."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from sparrow import Sparrow, checkpoints
from sparrow.errors import CheckpointError
from sparrow.rl import admission, gate
from sparrow.rl.snapshots import Snapshots
from sparrow.text import Tokenizer
from sparrow.train import metrics


@pytest.fixture(scope="module", autouse=True)
def few_questions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "QUESTIONS", 4)
        yield


@pytest.fixture(scope="module")
def model() -> Sparrow:
    """A run of somebody's own, as far as weights tell: the base, gone elsewhere."""
    made = Sparrow.from_pretrained(checkpoints.find(admission.BASE)).eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in made.parameters():
            each += 0.3 * each.std() * torch.randn(each.shape, generator=draw)
    return made


@pytest.fixture
def run(model: Sparrow, tmp_path: Path) -> Path:
    """The folder of such a run."""
    model.save_pretrained(tmp_path / "model")
    Tokenizer(checkpoints.find(admission.BASE)).save(tmp_path / "model")
    (tmp_path / "recipe.json").write_text('{"seed": 7, "steps": 3}')
    step = metrics.Step(
        step=1,
        tokens=1,
        loss=2.5,
        mtp_loss=0.0,
        balance_loss=0.0,
        max_violations=(),
        gradient_norm=1.0,
        learning_rate=0.1,
        seconds=1.0,
        tokens_per_s=1.0,
        flops_frac=0.1,
    )
    told = json.dumps({"kind": "step"} | dataclasses.asdict(step))
    (tmp_path / "metrics.jsonl").write_text(told + "\n")
    return tmp_path


def test_what_is_left_is_what_is_read(run: Path, model: Sparrow) -> None:
    path = admission.leave(run / admission.FILE, run=run, claim={"pass1": 0.25})
    found = admission.read(path.read_bytes())
    assert found.claim == {"pass1": 0.25}
    assert (found.losses, found.recipe["seed"]) == ([2.5], 7)
    for name, each in model.state_dict().items():
        assert torch.equal(found.weights[name], each)
    admission.refuse_shipped(found)
    tokenizer = Tokenizer(checkpoints.find(admission.BASE))
    assert admission.measured(found) == gate.measure(model, tokenizer, admission.RULES)


def test_a_run_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no finished run"):
        admission.leave(tmp_path / admission.FILE, run=tmp_path, claim={})


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("name", checkpoints.names())
def test_a_shipped_model_is_refused_also_with_a_little_noise(
    run: Path, name: str, noise: float
) -> None:
    path = admission.leave(run / admission.FILE, run=run, claim={})
    weights = Sparrow.from_pretrained(checkpoints.find(name)).state_dict()
    near = {
        key: each * (1 + noise) if each.is_floating_point() else each
        for key, each in weights.items()
    }
    found = dataclasses.replace(admission.read(path.read_bytes()), weights=near)
    with pytest.raises(CheckpointError, match="travels with the package"):
        admission.refuse_shipped(found)


def test_weights_of_another_shape_are_one_sentence(run: Path) -> None:
    path = admission.leave(run / admission.FILE, run=run, claim={})
    found = dataclasses.replace(admission.read(path.read_bytes()), weights={})
    admission.refuse_shipped(found)
    with pytest.raises(CheckpointError, match="damaged"):
        admission.measured(found)


def test_a_watcher_begins_with_the_model_that_the_run_starts_from(
    tmp_path: Path,
) -> None:
    watcher = Snapshots(
        admission.BASE, tmp_path, 10, lambda model, _tokenizer: model.config.vocab_size
    )
    assert watcher.seen == {0: 512}
