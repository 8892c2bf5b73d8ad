"""Reinforcement learning beside TRL's GRPOTrainer: from one checkpoint, same questions.

Both learn with the same groups, lengths, reward and loss. The peer is given the same
weights as `DeepseekV3ForCausalLM`, with its own way to write and to learn.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sparrow import checkpoints, runtime
from sparrow.evaluate.run import ask, prompt_of
from sparrow.model import Sparrow
from sparrow.rl import problems
from sparrow.rl.loop import Reinforcement
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train.parallel import Team
from sparrow.verify import Countdown, score
from tests.bench.measure import Result
from tests.bench.model_speed import as_peer

__all__ = ["grpo_cost_to_accuracy", "grpo_step"]

START = "pico-cold-start"
RECIPE = GrpoRecipe(gate=False, evaluate_every_steps=0, checkpoint_every_s=1e9)
STEPS, PAIRS = 3, 5
EXAMINED, GAIN = 200, 0.10
EVERY = 2  # steps between examinations
SEEDS = 3  # of ours; their middle counts
RATES = (1e-4, 3e-4, 3e-5, 1e-5)  # the peer's: its best counts, likely ones first
LIMIT_S = 1500.0  # processor seconds of each


def grpo_step() -> Result:
    """Whole steps: questions, answers, rewards, advantages, gradients, AdamW."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        run = Reinforcement(RECIPE, Path(folder), _alone(), lambda _said: None)
        with runtime.fast_matmul() as library:
            _ours(run, 1)
        for _pair in range(PAIRS):
            with runtime.fast_matmul():
                seconds["ours"].append(_ours(run, STEPS))
            # from the same weights: answers of the same length on both sides
            seconds["peer"].append(_peer_steps(run.model, run.step, STEPS))
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["peer"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    answers = RECIPE.questions * RECIPE.group_size
    return Result(
        name="grpo_step",
        what=f"pico GRPO step, {RECIPE.questions} questions × {RECIPE.group_size} "
        f"answers of at most {RECIPE.max_new_tokens} tokens, fp32, AdamW",
        ours=answers / statistics.median(seconds["ours"]),
        peer=answers / statistics.median(seconds["peer"]),
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        unit="answers/s",
        peer_name=_peer_name(),
        pairs=PAIRS,
        notes={"our_matmul_library": library, "start": START},
    )


def grpo_cost_to_accuracy() -> Result:
    """Processor seconds until held-out greedy pass@1 has gained ten points.

    The peer may choose the best of four learning rates: a rate that has already cost
    more than the best one is left. Examinations are not counted.
    """
    ours = [_our_cost(seed) for seed in range(SEEDS)]
    best, reached, told = LIMIT_S, False, {}
    for rate in RATES:
        cost = _peer_cost(rate, best)
        told[f"{rate:g}"] = f"more than {best:.0f}" if cost is None else f"{cost:.0f}"
        if cost is not None:
            best, reached = cost, True
    low, middle, high = sorted(best / each for each in ours)
    return Result(
        name="grpo_cost_to_accuracy",
        what=f"processor seconds until pass@1 on {EXAMINED} held-out problems gained "
        f"{GAIN:.0%}",
        ours=statistics.median(ours),
        peer=best,
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        unit="s",
        peer_name=_peer_name(),
        pairs=SEEDS,
        notes={
            "start": START,
            "limit_s_for_each_rate": LIMIT_S,
            "ours_by_seed": [round(each) for each in ours],
            "peer_by_learning_rate": told,
            "peer_reached_it": reached,
        },
    )


# ---- ours


def _alone() -> Team:
    return Team(0, 1, torch.device("cpu"))


def _ours(run: Reinforcement, steps: int) -> float:
    """Median seconds of one step."""
    seconds = []
    run.model.train()
    for _step in range(steps):
        started = time.perf_counter()
        run.step_once()
        run.step += 1
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _pass1(model: Sparrow, tokenizer: Tokenizer) -> float:
    found = ask(
        model,
        tokenizer,
        problems.examination(RECIPE, EXAMINED),
        max_new_tokens=RECIPE.max_new_tokens,
    )
    return float((found.rewards == 1).float().mean())


def _our_cost(seed: int) -> float:
    spent, recipe = 0.0, dataclasses.replace(RECIPE, seed=seed)
    with tempfile.TemporaryDirectory() as folder, runtime.fast_matmul():
        run = Reinforcement(recipe, Path(folder), _alone(), lambda _said: None)
        wanted = _pass1(run.model, run.tokenizer) + GAIN
        while spent < LIMIT_S:
            started = time.process_time()
            _ours(run, EVERY)
            spent += time.process_time() - started
            if _pass1(run.model, run.tokenizer) >= wanted:
                return spent
    raise RuntimeError(f"ours did not gain {GAIN:.0%} within {LIMIT_S:.0f} s")


# ---- the peer


def _peer_name() -> str:
    import trl

    return f"GRPOTrainer of TRL {trl.__version__}"


def _questions(first: int, steps: int) -> list[Countdown]:
    found: list[Countdown] = []
    for step in range(first, first + steps):
        found += [p for p in problems.asked(RECIPE, step) if isinstance(p, Countdown)]
    return found


def _trainer(
    model: Any,
    tokenizer: Tokenizer,
    asked: Sequence[Countdown],
    rate: float,
    steps: int,
) -> Any:
    """A GRPOTrainer that asks these questions in this order."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    theirs = AutoTokenizer.from_pretrained(checkpoints.find(START))
    rows = [
        {
            "prompt": theirs.decode(prompt_of(tokenizer, each, "tags")),
            "numbers": list(each.numbers),
            "target": each.target,
        }
        for each in asked
    ]

    def reward(
        completions: list[str],
        numbers: list[list[int]],
        target: list[int],
        **_more: object,
    ) -> list[float]:
        return [
            score(Countdown(tuple(given), goal), text).reward
            for text, given, goal in zip(completions, numbers, target, strict=True)
        ]

    settings = GRPOConfig(
        tempfile.mkdtemp(),
        per_device_train_batch_size=RECIPE.questions * RECIPE.group_size,
        num_generations=RECIPE.group_size,
        max_completion_length=RECIPE.max_new_tokens,
        learning_rate=rate,
        lr_scheduler_type="constant",
        max_steps=steps,
        temperature=RECIPE.temperature,
        loss_type=RECIPE.kind,
        beta=0.0,
        epsilon=RECIPE.clip_low,
        epsilon_high=RECIPE.clip_high,
        adam_beta2=RECIPE.beta2,
        weight_decay=RECIPE.weight_decay,
        max_grad_norm=RECIPE.clip_norm,
        shuffle_dataset=False,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    return GRPOTrainer(
        model,
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=theirs,
    )


def _clock(after: Callable[[int, float, float], bool]) -> Any:
    """Tells the wall and processor seconds of every step; True ends the training."""
    import transformers

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        """Counts from the begin of a step to its end, writing included."""

        def on_step_begin(self, *_told: object, **_more: object) -> None:
            self.began = time.perf_counter(), time.process_time()

        def on_step_end(
            self, _arguments: Any, state: Any, control: Any, **_more: Any
        ) -> None:
            wall = time.perf_counter() - self.began[0]
            processor = time.process_time() - self.began[1]
            told = after(state.global_step, wall, processor)
            control.should_training_stop |= told

    return Clock()


def _peer_steps(model: Sparrow, first: int, steps: int) -> float:
    """Median wall seconds of a step."""
    seconds: list[float] = []

    def after(_step: int, wall: float, _processor: float) -> bool:
        seconds.append(wall)
        return False

    tokenizer = Tokenizer(checkpoints.find(START))
    trainer = _trainer(as_peer(model), tokenizer, _questions(first, steps), 1e-4, steps)
    trainer.add_callback(_clock(after))
    trainer.train()
    return statistics.median(seconds)


def _peer_cost(rate: float, limit_s: float) -> float | None:
    """Processor seconds until the gain; None if the limit came first."""
    folder = checkpoints.find(START)
    tokenizer = Tokenizer(folder)
    start = Sparrow.from_pretrained(folder)
    wanted = _pass1(start, tokenizer) + GAIN
    peer = as_peer(start)
    # transformers saves no layer for multi-token prediction, so none is promised.
    peer.config.num_nextn_predict_layers = 0
    spent = 0.0
    reached = False

    def after(step: int, _wall: float, processor: float) -> bool:
        nonlocal spent, reached
        spent += processor
        if step % EVERY == 0:
            with tempfile.TemporaryDirectory() as saved:
                peer.save_pretrained(saved)
                reached = (
                    _pass1(Sparrow.from_pretrained(Path(saved)), tokenizer) >= wanted
                )
        return reached or spent > limit_s

    steps = 1000
    trainer = _trainer(peer, tokenizer, _questions(0, steps), rate, steps)
    trainer.add_callback(_clock(after))
    trainer.train()
    return spent if reached else None
