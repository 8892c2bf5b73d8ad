"""A run that is killed, cut short or shared goes on as if nothing had happened."""

import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sparrow import Sparrow
from sparrow.errors import ConfigError, CorpusError, StorageError
from sparrow.train import metrics, state
from sparrow.train.loop import Trained, pretrain
from sparrow.train.recipe import Recipe

ROOT = Path(__file__).parents[2]
TEXT = ROOT / "LICENSE"  # real text that every checkout has
# The same run as flags and as a recipe: the smallest that has everything.
RECIPE = Recipe(
    corpus=str(TEXT),
    steps=12,
    batch_size=4,
    length=32,
    warmup_steps=2,
    checkpoint_every_steps=2,
    evaluate_every_steps=6,
)
FLAGS = [
    *("--steps", "12", "--batch-size", "4", "--length", "32", "--warmup-steps", "2"),
    *("--corpus", str(TEXT), "--checkpoint-every-steps", "2"),
    *("--evaluate-every-steps", "6"),
]
COMMAND = [str(Path(sys.executable).with_name("sparrow")), "pretrain", *FLAGS]


def losses(folder: Path) -> list[tuple[int, float, float]]:
    """Step, loss and MTP loss of every step that was told."""
    return [(each.step, each.loss, each.mtp_loss) for each in metrics.read(folder)[0]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run that nobody interrupted."""
    return pretrain(RECIPE, tmp_path_factory.mktemp("whole"))


class PowerCutError(Exception):
    """Raised by a test in the middle of a run."""


def stop_at(folder: Path, step: int, recipe: Recipe = RECIPE) -> None:
    """A run that ends without a word after some step."""

    def watch(told: metrics.Step | metrics.HeldOut) -> None:
        if isinstance(told, metrics.Step) and told.step == step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        pretrain(recipe, folder, watch=watch)


def test_it_learns_and_leaves_a_model_that_opens(whole: Trained) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    told = losses(whole.folder)
    assert [each[0] for each in told] == list(range(1, 13))
    assert told[-1][1] < told[0][1] - 0.5
    ids = torch.tensor([[1, 2, 3, 4]])
    theirs = AutoModelForCausalLM.from_pretrained(whole.model)
    with torch.no_grad():
        ours = Sparrow.from_pretrained(whole.model)(ids)
        torch.testing.assert_close(theirs(ids).logits, ours, atol=1e-5, rtol=1e-5)
    assert AutoTokenizer.from_pretrained(whole.model).eos_token_id == 0


def test_held_out_text_is_looked_at_and_told(whole: Trained) -> None:
    _steps, looks = metrics.read(whole.folder)
    assert [(each.step, each.part) for each in looks] == [(6, "text"), (12, "text")]
    assert all(0 < each.bits_per_byte < 8 for each in looks)


def test_the_same_recipe_gives_the_same_bits(whole: Trained, tmp_path: Path) -> None:
    assert pretrain(RECIPE, tmp_path).fingerprint == whole.fingerprint


def test_another_seed_gives_another_model(whole: Trained, tmp_path: Path) -> None:
    other = pretrain(dataclasses.replace(RECIPE, seed=1), tmp_path)
    assert other.fingerprint != whole.fingerprint


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_three_times_it_ends_with_the_same_bits(
    whole: Trained, tmp_path: Path
) -> None:
    """Kill -9, at steps that nobody chose; the same command goes on."""
    draw = random.Random()
    file = tmp_path / "metrics.jsonl"
    for _kill in range(3):
        child = subprocess.Popen(
            [*COMMAND, "--folder", str(tmp_path)], stderr=subprocess.DEVNULL
        )
        began = len(losses(tmp_path)) if file.exists() else 0
        wanted = began + draw.randint(1, 3)
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            if file.exists() and len(losses(tmp_path)) >= wanted:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = subprocess.run(
        [*COMMAND, "--folder", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Going on after step" in done.stderr
    assert losses(tmp_path) == losses(whole.folder)
    ours, theirs = (state.newest_state(f / "states") for f in (tmp_path, whole.folder))
    assert ours is not None
    assert theirs is not None
    assert state.fingerprint(ours.tensors) == state.fingerprint(theirs.tensors)


def test_a_truncated_last_checkpoint_costs_two_steps_and_nothing_else(
    whole: Trained, tmp_path: Path
) -> None:
    stop_at(tmp_path, 7)
    newest = state.state_files(tmp_path / "states")[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = pretrain(RECIPE, tmp_path)
    assert resumed.fingerprint == whole.fingerprint
    assert losses(tmp_path) == losses(whole.folder)


def test_half_a_line_of_metrics_is_forgotten(whole: Trained, tmp_path: Path) -> None:
    stop_at(tmp_path, 5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 6, "lo')
    pretrain(RECIPE, tmp_path)
    assert losses(tmp_path) == losses(whole.folder)


def test_micro_batches_change_rounding_only(whole: Trained, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, micro_batch_size=3, steps=12)
    pretrain(recipe, tmp_path)
    for ours, theirs in zip(losses(tmp_path), losses(whole.folder), strict=True):
        # sums in another order; the difference grows from step to step
        assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.needs_bubblewrap
def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(
    whole: Trained, tmp_path: Path
) -> None:
    """A real file system of 40 MB: one state of 22 MB fits, a second does not."""
    box = ["bwrap", "--dev-bind", "/", "/", "--size", str(40 << 20), "--tmpfs"]
    small = tmp_path / "small"
    small.mkdir()
    run = f"{' '.join(COMMAND)} --folder {small}"
    script = f"{run}; code=$?; cp -r {small} {tmp_path}/out; exit $code"
    done = subprocess.run(
        [*box, str(small), "sh", "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    rescued = tmp_path / "out"
    assert len(state.state_files(rescued / "states")) == 1
    assert pretrain(RECIPE, rescued).fingerprint == whole.fingerprint
    shutil.rmtree(rescued)


def test_a_finished_run_is_left_as_it_is(whole: Trained) -> None:
    before = losses(whole.folder)
    assert pretrain(RECIPE, whole.folder).fingerprint == whole.fingerprint
    assert losses(whole.folder) == before


def test_another_recipe_does_not_touch_the_run(whole: Trained) -> None:
    before = sorted(path.name for path in (whole.folder / "states").iterdir())
    with pytest.raises(ConfigError, match="other values of seed, learning_rate"):
        pretrain(dataclasses.replace(RECIPE, seed=4, learning_rate=1.0), whole.folder)
    with pytest.raises(ConfigError, match="it was asked not to go on"):
        pretrain(RECIPE, whole.folder, resume=False)
    assert before == sorted(path.name for path in (whole.folder / "states").iterdir())


def test_a_missing_empty_or_binary_corpus_is_one_sentence(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("")
    binary.write_bytes(b"\x00\xff" * 100)
    for path in (empty, binary, tmp_path / "missing"):
        with pytest.raises(CorpusError):
            pretrain(dataclasses.replace(RECIPE, corpus=str(path)), tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        pretrain(RECIPE, tmp_path / "file" / "run")


def test_a_tokenizer_larger_than_the_model_is_refused(
    whole: Trained, tmp_path: Path
) -> None:
    model = RECIPE.model.replace(vocab_size=300)
    recipe = dataclasses.replace(RECIPE, model=model, tokenizer=str(whole.model))
    with pytest.raises(ConfigError, match="the tokenizer has 512 tokens"):
        pretrain(recipe, tmp_path)


def run_together(folder: Path, processes: int, *more: str) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(processes), *COMMAND, "--folder", str(folder)),
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="gloo is untried on Windows")
def test_two_processes_give_the_result_of_one(whole: Trained, tmp_path: Path) -> None:
    run_together(tmp_path, 2)
    for ours, theirs in zip(losses(tmp_path), losses(whole.folder), strict=True):
        # sums in another order and other thread counts; measured: below 1e-6 a step
        assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.skipif(sys.platform == "win32", reason="gloo is untried on Windows")
def test_a_run_of_one_goes_on_with_two(whole: Trained, tmp_path: Path) -> None:
    stop_at(tmp_path, 7)
    run_together(tmp_path, 2)
    assert losses(tmp_path)[:6] == losses(whole.folder)[:6]
    for ours, theirs in zip(losses(tmp_path), losses(whole.folder), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_change_of_threads_is_told(tmp_path: Path) -> None:
    stop_at(tmp_path, 5)
    sentences: list[str] = []
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        pretrain(RECIPE, tmp_path, say=sentences.append)
    finally:
        torch.set_num_threads(before)
    assert sentences[0] == "Going on after step 4 of 12."
    assert any(
        "threads" in each and "last bits may differ" in each for each in sentences
    )


def test_metrics_name_every_unit_and_are_finite(whole: Trained) -> None:
    for line in (whole.folder / "metrics.jsonl").read_text().splitlines():
        told = json.loads(line)
        if told["kind"] == "step":
            assert told["tokens"] == told["step"] * 4 * 32
            assert told["tokens_per_s"] > 0
            assert 0 < told["flops_frac"] < 1
            assert len(told["max_violations"]) == 4


def test_half_precision_learns_too(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, precision="bf16")
    pretrain(recipe, tmp_path)
    told = losses(tmp_path)
    assert told[-1][1] < told[0][1] - 0.5


# ---- the same at full size: `pytest -m slow tests/unit/test_pretrain.py` ----

FULL = [
    *("--steps", "200", "--batch-size", "16", "--length", "128"),
    *("--corpus-mb", "2", "--checkpoint-every-s", "2", "--evaluate-every-steps", "0"),
]
FULL_COMMAND = [*COMMAND[:2], *FULL]


def kill_until_done(folder: Path, kills: int) -> int:
    """Run and kill by the clock, at drawn moments; how often it was killed."""
    draw, killed = random.Random(), 0
    while True:
        child = subprocess.Popen(
            [*FULL_COMMAND, "--folder", str(folder)], stderr=subprocess.DEVNULL
        )
        patience_s = draw.uniform(8, 30) if killed < kills else None
        try:
            assert child.wait(patience_s) == 0
            return killed
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed += 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_full_run_killed_by_the_clock_ends_with_the_same_bits(tmp_path: Path) -> None:
    alone, cut = tmp_path / "alone", tmp_path / "cut"
    subprocess.run([*FULL_COMMAND, "--folder", str(alone)], check=True)
    assert kill_until_done(cut, 5) > 0
    assert losses(cut) == losses(alone)
    ours, theirs = (state.newest_state(each / "states") for each in (cut, alone))
    assert ours is not None
    assert theirs is not None
    assert state.fingerprint(ours.tensors) == state.fingerprint(theirs.tensors)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo is untried on Windows")
def test_a_full_run_of_two_processes_stays_near_that_of_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, processes in ((one, 1), (two, 2)):
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        launch += ["--nproc-per-node", str(processes)]
        subprocess.run([*launch, *FULL_COMMAND, "--folder", str(folder)], check=True)
    apart = [
        abs(ours[1] - theirs[1])
        for ours, theirs in zip(losses(two), losses(one), strict=True)
    ]
    print(f"largest difference of 200 losses: {max(apart):.1e}")
    # rounding grows as training goes on; the curves must stay together
    assert max(apart) < 0.05
