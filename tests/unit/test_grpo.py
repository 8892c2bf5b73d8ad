"""Reinforcement learning: the same answers again after a power cut, and clear ends."""

import dataclasses
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sparrow.errors import (
    CheckpointError,
    ConfigError,
    GateError,
    PromptError,
    RewardError,
    UsageError,
)
from sparrow.evaluate.run import ask
from sparrow.model import Sparrow
from sparrow.rl import loop, problems
from sparrow.rl.loop import grpo, logprobs_of
from sparrow.rl.metrics import Exam, Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.rl.reward import controlled
from sparrow.rl.rollout import Rollout, sheets, with_signal
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.train import state
from sparrow.train.metrics import Line, read_kind
from sparrow.train.run import Trained
from sparrow.verify import Countdown, Problem, Score
from tests.unit.untrained import save_untrained


def digits(_problem: Problem, text: str, _score: Score) -> float:
    """A reward that an untrained model earns now and then."""
    return float(any(sign.isdigit() for sign in text))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows nothing."""
    return save_untrained(tmp_path_factory.mktemp("base"), 128)


@pytest.fixture(scope="module")
def recipe(base: Path) -> GrpoRecipe:
    return GrpoRecipe(
        init=str(base),
        questions=4,
        group_size=4,
        max_new_tokens=16,
        micro_batch_tokens=100,
        steps=6,
        checkpoint_every_steps=2,
        evaluate_every_steps=3,
        examined=5,
        gate=False,
        warmup_steps=2,
        control="random",
    )


@pytest.fixture(scope="module")
def whole(recipe: GrpoRecipe, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run that nobody interrupted."""
    return grpo(recipe, tmp_path_factory.mktemp("whole"))


def changed(recipe: GrpoRecipe, **values: object) -> GrpoRecipe:
    return dataclasses.replace(recipe, **values)  # type: ignore[arg-type]


def told(folder: Path) -> list[tuple[int, float, float]]:
    """What a run told that does not depend on the clock."""
    return [(each.step, each.loss, each.length) for each in read_kind(folder, Rollouts)]


class PowerCutError(Exception):
    """Raised by a test in the middle of a run."""


def test_every_step_and_every_examination_is_told(whole: Trained) -> None:
    steps = read_kind(whole.folder, Rollouts)
    assert [each.step for each in steps] == list(range(1, 7))
    assert [each.step for each in read_kind(whole.folder, Exam)] == [0, 3, 6]
    assert all(each.answers == 16 for each in steps)
    assert any(each.learned for each in steps)


def test_the_weights_move_and_the_checkpoint_opens(whole: Trained, base: Path) -> None:
    before = Sparrow.from_pretrained(base).state_dict()
    after = Sparrow.from_pretrained(whole.model).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("self_attn" in name for name in moved)
    assert not any(".mtp" in name for name in moved)


def test_the_same_recipe_gives_the_same_bits(
    whole: Trained, recipe: GrpoRecipe, tmp_path: Path
) -> None:
    assert grpo(recipe, tmp_path).fingerprint == whole.fingerprint
    other = grpo(changed(recipe, seed=1), tmp_path / "other")
    assert other.fingerprint != whole.fingerprint


def test_a_cut_in_the_middle_of_a_rollout_changes_no_bit(
    whole: Trained, recipe: GrpoRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.ask, 0

    def cut(*args: object, **settings: object) -> object:
        nonlocal calls
        calls += settings.get("samples") == recipe.group_size
        if calls == 5:  # the gate asks once: this is in the fourth step
            raise PowerCutError
        return real(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "ask", cut)
    with pytest.raises(PowerCutError):
        grpo(recipe, tmp_path)
    monkeypatch.setattr(loop, "ask", real)
    assert len(told(tmp_path)) < 6
    resumed = grpo(recipe, tmp_path)
    assert resumed.fingerprint == whole.fingerprint
    assert told(tmp_path) == told(whole.folder)


def command(recipe: GrpoRecipe, folder: Path) -> list[str]:
    flags = [
        f"--{name.replace('_', '-')}={getattr(recipe, name)}"
        for name in (
            *("init", "questions", "group_size", "max_new_tokens", "steps"),
            *("micro_batch_tokens", "checkpoint_every_steps", "evaluate_every_steps"),
            *("examined", "warmup_steps", "control"),
        )
    ]
    code = "from sparrow.cli import main; main()"
    return ["-c", code, "grpo", *flags, "--no-gate", "--folder", str(folder)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_it_ends_with_the_same_bits(
    whole: Trained, recipe: GrpoRecipe, tmp_path: Path
) -> None:
    """Kill -9, at a moment that nobody chose; the same command goes on."""
    file = tmp_path / "metrics.jsonl"
    child = subprocess.Popen(
        [sys.executable, *command(recipe, tmp_path)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while child.poll() is None and time.monotonic() < deadline:
        if file.exists() and len(told(tmp_path)) >= 3:
            break
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.3))
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = subprocess.run(
        [sys.executable, *command(recipe, tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == told(whole.folder)
    ours, theirs = (state.newest_state(f / "states") for f in (tmp_path, whole.folder))
    assert ours is not None
    assert theirs is not None
    assert state.fingerprint(ours.tensors) == state.fingerprint(theirs.tensors)


def test_two_processes_share_the_questions(recipe: GrpoRecipe, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc-per-node", "2", "--no-python", sys.executable]
    short = changed(recipe, steps=2)
    done = subprocess.run(
        [*launch, *command(short, tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    steps = read_kind(tmp_path, Rollouts)
    assert [each.step for each in steps] == [1, 2]
    assert all(each.answers == 16 for each in steps)
    assert (tmp_path / "model" / "model.safetensors").exists()


# --- what is learned from


def test_only_groups_that_differ_have_a_signal() -> None:
    reward = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.5, 0.4]])
    assert with_signal(reward).tolist() == [True, False, False, True]


def test_sheets_give_each_token_its_logprob(base: Path) -> None:
    model, tokenizer = Sparrow.from_pretrained(base).eval(), Tokenizer(base)
    asked = [Countdown((1, 2, 3), 6), Countdown((10, 11, 12), 33)]
    found = ask(
        model,
        tokenizer,
        asked,
        samples=3,
        temperature=1.0,
        max_new_tokens=9,
        generator=generator(0),
    )
    rollouts = [
        Rollout([7] * (3 + place), each, float(place))
        for place, each in enumerate(found.completions[0])
    ]
    # prompts of other lengths: read them again, one by one
    for each in rollouts:
        ids = torch.tensor([[*each.prompt, *each.completion.tokens]])
        with torch.no_grad():
            again = logprobs_of(model, ids)[0, len(each.prompt) - 1 :]
        each.completion.logprobs[:] = again.tolist()
    for sheet in sheets(rollouts, 30):
        with torch.no_grad():
            now = logprobs_of(model, sheet.tokens)
        torch.testing.assert_close(
            now * sheet.mask, sheet.old_logprobs, atol=1e-5, rtol=1e-5
        )


def test_the_sampler_and_the_learner_agree(base: Path) -> None:
    """What decoding says a token's probability was is what training computes."""
    model, tokenizer = Sparrow.from_pretrained(base).eval(), Tokenizer(base)
    found = ask(
        model,
        tokenizer,
        [Countdown((1, 2, 3), 6)],
        samples=20,
        temperature=1.0,
        max_new_tokens=9,
        generator=generator(0),
    )
    prompt = tokenizer.chat([{"role": "user", "content": "numbers 1 2 3 target 6"}])
    rollouts = [Rollout(prompt, each, 1.0) for each in found.completions[0]]
    (sheet,) = sheets(rollouts, 10_000)
    with torch.no_grad():
        now = logprobs_of(model, sheet.tokens)
    torch.testing.assert_close(now * sheet.mask, sheet.old_logprobs, atol=1e-4, rtol=0)


def test_reward_alone_changes_what_is_written(base: Path, recipe: GrpoRecipe, tmp_path):
    """Thirty steps of rewarding digits bring digits."""
    asked = changed(
        recipe, control="none", steps=30, learning_rate=5e-3, evaluate_every_steps=0
    )
    trained = grpo(asked, tmp_path, earn=digits)
    steps = read_kind(trained.folder, Rollouts)
    first = sum(each.reward for each in steps[:5]) / 5
    last = sum(each.reward for each in steps[-5:]) / 5
    assert last > first + 0.3


@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "cispo", "gspo"])
def test_each_loss_trains(recipe: GrpoRecipe, tmp_path: Path, kind: str) -> None:
    run = grpo(changed(recipe, kind=kind, steps=2, updates=2), tmp_path)
    assert all(torch.isfinite(torch.tensor(each[1])) for each in told(run.folder))


def test_a_reference_is_kept_and_renewed(recipe: GrpoRecipe, tmp_path: Path) -> None:
    near = changed(recipe, beta=0.1, reference_every=2)
    run = grpo(near, tmp_path / "whole")
    kl = [each.kl for each in read_kind(run.folder, Rollouts)]
    assert max(kl) > 0

    def cut(line: Line) -> None:
        if isinstance(line, Rollouts) and line.step == 3:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        grpo(near, tmp_path / "cut", watch=cut)
    assert grpo(near, tmp_path / "cut").fingerprint == run.fingerprint


def test_groups_without_signal_are_asked_anew(recipe: GrpoRecipe, tmp_path: Path):
    run = grpo(changed(recipe, control="none", refill=2, steps=1), tmp_path)
    (step,) = read_kind(run.folder, Rollouts)
    assert step.answers == 3 * 16  # nothing is right: all groups, twice again
    assert step.learned == 0


# --- controls


def test_controls_keep_the_link_or_break_it() -> None:
    reward = (torch.rand(40, 8, generator=generator(0)) < 0.3).float()
    assert torch.equal(controlled(reward, "none", generator(1)), reward)
    assert torch.equal(controlled(reward, "inverted", generator(1)), 1 - reward)
    dealt = controlled(reward, "shuffled", generator(1))
    assert torch.equal(dealt.sum(dim=1), reward.sum(dim=1))
    assert not torch.equal(dealt, reward)
    random_ = controlled(reward, "random", generator(1))
    assert 0.4 < float(random_.mean()) < 0.6


# --- bad input: one sentence, and the checkpoint is whole


def test_a_model_that_never_earns_is_told_so(recipe: GrpoRecipe, tmp_path: Path):
    poor = changed(recipe, control="none", hopeless_steps=3, steps=50)
    with pytest.raises(RewardError, match="for 3 steps: .* Take easier problems"):
        grpo(poor, tmp_path)
    assert state.newest_state(tmp_path / "states") is not None


def failing(_problem: Problem, _text: str, _score: Score) -> float:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("earn", "error", "words"),
    [
        (failing, RewardError, "the reward function failed .*ZeroDivisionError"),
        (lambda *_all: float("nan"), UsageError, "is nan, no finite number"),
        (lambda *_all: "much", RewardError, "the reward function failed"),
    ],
)
def test_a_reward_that_fails_costs_nothing(
    recipe: GrpoRecipe,
    tmp_path: Path,
    earn: Callable[..., float],
    error: type[Exception],
    words: str,
) -> None:
    mine = changed(recipe, control="none")
    calls = 0

    def late(problem: Problem, text: str, score: Score) -> float:
        nonlocal calls
        calls += 1
        if calls <= 48:
            return digits(problem, text, score)
        return earn(problem, text, score)

    with pytest.raises(error, match=words):
        grpo(mine, tmp_path, earn=late)
    kept = state.newest_state(tmp_path / "states")
    assert kept is not None
    assert kept.step == 2


def test_a_group_of_one_is_refused(recipe: GrpoRecipe) -> None:
    with pytest.raises(ConfigError, match="group_size must be at least 2, got 1"):
        changed(recipe, group_size=1)


def test_a_prompt_longer_than_the_context_is_refused(recipe: GrpoRecipe, tmp_path):
    with pytest.raises(PromptError, match="reads at most 128"):
        grpo(changed(recipe, max_new_tokens=120), tmp_path)


def test_no_problems_is_one_sentence(base: Path) -> None:
    model, tokenizer = Sparrow.from_pretrained(base), Tokenizer(base)
    with pytest.raises(UsageError, match="there is nothing to ask"):
        ask(model, tokenizer, [])


def test_a_missing_model_is_named(recipe: GrpoRecipe, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='There is no model "nobody"'):
        grpo(changed(recipe, init="nobody"), tmp_path)


def test_the_gate_refuses_a_model_that_is_never_right(recipe: GrpoRecipe, tmp_path):
    with pytest.raises(GateError, match=r"pass@1 is 0.00.*--no-gate"):
        grpo(changed(recipe, gate=True), tmp_path)
    said: list[str] = []
    grpo(changed(recipe, steps=1), tmp_path / "anyway", say=said.append)
    assert any("Imitate longer" in each for each in said)


def test_questions_follow_from_seed_and_step(recipe: GrpoRecipe) -> None:
    first, again = problems.asked(recipe, 3), problems.asked(recipe, 3)
    assert first == again
    assert first != problems.asked(recipe, 4)
    assert first != problems.asked(changed(recipe, seed=1), 3)
    held_out = set(problems.examination(recipe, 100))
    assert not held_out & {
        each for step in range(50) for each in problems.asked(recipe, step)
    }
