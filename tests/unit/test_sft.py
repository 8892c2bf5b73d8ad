"""A cold start learns answers only, goes on after a power cut, and stops in time."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sparrow.cost.measure import Measured
from sparrow.data.packing import pack
from sparrow.data.stream import FixedRows
from sparrow.errors import CheckpointError, ConfigError
from sparrow.model import Sparrow
from sparrow.text import Tokenizer
from sparrow.train import loop, metrics
from sparrow.train import sft as module
from sparrow.train.metrics import Line, Step
from sparrow.train.run import Trained
from sparrow.train.sft import Examined, SftRecipe, sft
from tests.unit.untrained import save_untrained


@pytest.fixture(scope="module", autouse=True)
def quick_looks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # how fast this machine multiplies is told and changes nothing
        rate = Measured(median=1e9, low=1e9, high=1e9, values=(1e9,))
        patch.setattr(loop, "matmul_rate", lambda **_where: rate)
        yield


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> SftRecipe:
    """The smallest run that has everything, from a model that knows nothing."""
    return SftRecipe(
        init=str(save_untrained(tmp_path_factory.mktemp("base"))),
        examples=40,
        steps=8,
        batch_size=4,
        length=200,
        warmup_steps=2,
        checkpoint_every_steps=2,
        evaluate_every_steps=3,
        examined=20,
    )


@pytest.fixture(scope="module")
def whole(recipe: SftRecipe, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run that nobody interrupted."""
    return sft(recipe, tmp_path_factory.mktemp("whole"))


class PowerCutError(Exception):
    """Raised by a test in the middle of a run."""


def stop_at(recipe: SftRecipe, folder: Path, step: int) -> None:
    """A run that ends without a word after some step."""

    def watch(told: Line) -> None:
        if isinstance(told, Step) and told.step == step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        sft(recipe, folder, watch=watch)


def test_it_learns_and_leaves_a_model_that_opens(whole: Trained) -> None:
    steps = metrics.read_kind(whole.folder, Step)
    assert [each.step for each in steps] == list(range(1, 9))
    assert steps[-1].loss < steps[0].loss - 0.5
    assert whole.is_finished
    tokenizer = Tokenizer(whole.model)
    asked = tokenizer.chat([{"role": "user", "content": "numbers 3 7 target 21"}])
    logits = Sparrow.from_pretrained(whole.model)(torch.tensor([asked]))
    assert logits.isfinite().all()


def test_it_looks_at_problems_that_it_never_imitates(whole: Trained) -> None:
    looks = metrics.read_kind(whole.folder, Examined)
    assert [each.step for each in looks] == [3, 6, 8]
    assert all(0 < each.entropy < 6 for each in looks)
    assert looks[-1].loss < looks[0].loss
    assert len({each.tokens for each in looks}) == 1


def test_traces_to_imitate_and_traces_to_look_at_share_no_problem(
    recipe: SftRecipe,
) -> None:
    tokenizer = Tokenizer(Path(recipe.init))
    sides = [
        {each.prompt for each in module.traces(recipe, tokenizer, held_out=held_out)}
        for held_out in (False, True)
    ]
    assert len(sides[1]) == 20
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("step", [1, 5])
def test_cut_at_any_step_it_ends_with_the_same_bits(
    recipe: SftRecipe, whole: Trained, tmp_path: Path, step: int
) -> None:
    stop_at(recipe, tmp_path, step)
    assert sft(recipe, tmp_path).fingerprint == whole.fingerprint
    for kind in (Step, Examined):
        ours, theirs = (
            [_what_was_learned(each) for each in metrics.read_kind(folder, kind)]
            for folder in (tmp_path, whole.folder)
        )
        assert ours == theirs


def _what_was_learned(line: Line) -> dict[str, object]:
    """A line without what the clock says."""
    told = dataclasses.asdict(line)
    for name in ("seconds", "tokens_per_s", "flops_frac"):
        told.pop(name, None)
    return told


def test_the_entropy_floor_ends_a_run_at_its_second_low_look(
    recipe: SftRecipe, tmp_path: Path
) -> None:
    sentences: list[str] = []
    sure = dataclasses.replace(recipe, entropy_floor=100.0)
    ended = sft(sure, tmp_path, say=sentences.append)
    assert (ended.steps, ended.is_finished) == (6, True)
    assert (ended.model / "model.safetensors").exists()
    assert any("Stopped at step 6" in each for each in sentences)
    again = sft(sure, tmp_path)
    assert (again.steps, again.fingerprint) == (6, ended.fingerprint)


def test_a_cut_between_two_low_looks_forgets_neither(
    recipe: SftRecipe, tmp_path: Path
) -> None:
    sure = dataclasses.replace(recipe, entropy_floor=100.0)
    stop_at(sure, tmp_path, 5)  # the look at step 3 is in the state of step 4
    assert sft(sure, tmp_path).steps == 6


def test_an_example_longer_than_a_row_is_one_sentence(
    recipe: SftRecipe, tmp_path: Path
) -> None:
    short = dataclasses.replace(recipe, length=20)
    with pytest.raises(ConfigError, match="tokens and a row 20: take longer rows"):
        sft(short, tmp_path)


def test_a_model_that_is_not_there_is_one_sentence(
    recipe: SftRecipe, tmp_path: Path
) -> None:
    other = dataclasses.replace(recipe, init="nobody")
    with pytest.raises(CheckpointError, match='There is no model "nobody"'):
        sft(other, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"entropy_floor": -0.1}, "entropy_floor must be at least 0"),
        ({"patience": 1.5}, "patience is a part of 1"),
        ({"examples": 0}, "examples must be at least 1"),
    ],
)
def test_numbers_that_cannot_work_are_refused(
    change: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        SftRecipe(**change)  # type: ignore[arg-type]


# ---- the same rows in every epoch ----


def test_every_row_is_read_once_an_epoch_in_another_order() -> None:
    documents = [[row + 1] * 3 for row in range(6)]
    rows = pack(documents, 4, 0)
    stream = FixedRows(rows, batch_size=4, seed=3)
    read = [stream.batch(step).tokens for step in range(6)]  # 24 rows: 4 epochs
    assert all(each.shape == (4, 4) for each in read)
    line = torch.cat(read)[:, 0].tolist()
    epochs = [line[first : first + 6] for first in range(0, 24, 6)]
    assert all(sorted(each) == [1, 2, 3, 4, 5, 6] for each in epochs)
    assert len(set(map(tuple, epochs))) > 1


def test_a_batch_is_a_pure_function_of_seed_and_step() -> None:
    rows = pack([[row + 1] * 3 for row in range(6)], 4, 0)
    one, other = (FixedRows(rows, batch_size=4, seed=3) for _time in range(2))
    other.batch(0)
    assert torch.equal(one.batch(5).tokens, other.batch(5).tokens)
    batches = [
        FixedRows(rows, batch_size=6, seed=seed).batch(0).tokens[:, 0].tolist()
        for seed in range(4)
    ]
    assert len(set(map(tuple, batches))) > 1
