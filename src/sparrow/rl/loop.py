"""Reinforcement learning: ask, answer, reward, compare, and move towards the better.

Each step draws its questions and its answers from generators made of seed and step,
so a run that goes on writes the same answers again.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sparrow import runtime
from sparrow.errors import RewardError
from sparrow.evaluate import intervals
from sparrow.evaluate.run import Answers, ask, prompt_of
from sparrow.language import _
from sparrow.model import Sparrow, named
from sparrow.rl import (
    advantage,
    gate,
    objective,
    problems,
    reward,
    rollout,
    telling,
)
from sparrow.rl.metrics import Exam, Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.rl.reward import Reward
from sparrow.rl.rollout import Rollout, Sheet
from sparrow.rl.shares import Whole
from sparrow.rl.telling import Learned
from sparrow.text import Tokenizer
from sparrow.train import schedule
from sparrow.train.optimizer import clip, make_optimizer
from sparrow.train.parallel import Team
from sparrow.train.run import Run, Say, Trained, Watch, carry_out
from sparrow.train.state import State
from sparrow.verify import Problem

__all__ = ["Reinforcement", "grpo", "logprobs_of"]

REFERENCE = "reference."
RANKS = 64  # generators of a step: one a process, and one for the controls


def grpo(
    recipe: GrpoRecipe,
    folder: Path,
    *,
    resume: bool = True,
    watch: Watch | None = None,
    say: Say = lambda _sentence: None,
    earn: Reward | None = None,
) -> Trained:
    """Let a model learn from reward alone, or go on where an earlier run stopped.

    Args:
        recipe: what to ask, what to reward, and how to learn.
        folder: where everything is kept.
        resume: False: refuse a folder that holds a run.
        watch: is told every step and every examination.
        say: is told, in sentences, what a person should know.
        earn: a reward of your own, in place of the rule's.

    Raises:
        ConfigError: the folder holds a run of another recipe.
        CheckpointError: there is no model to start from, or a state is damaged.
        GateError: the model has little chance to learn; see `sparrow.rl.gate`.
        RewardError: nothing was earned for many steps, or a reward function failed.
        PromptError: a question is longer than the model can read.
        StorageError: the folder cannot be written, or the disk is full.

    Source: arXiv:2402.03300, algorithm 1; arXiv:2501.12948, section 2.2.
    """

    def make(workers: Team) -> Reinforcement:
        return Reinforcement(recipe, folder, workers, say, earn)

    return carry_out(make, recipe, folder, resume=resume, watch=watch)


def logprobs_of(model: Sparrow, tokens: Tensor) -> Tensor:
    """The log-probability of every token but the first, given those before it.

    Shapes:
        tokens: [B, T + 1]; returns [B, T].
    """
    scores = model.logits(model.hidden(tokens[:, :-1])).float()
    surprise = nn.functional.cross_entropy(
        scores.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
    )
    return -surprise.view(tokens.shape[0], -1)


class Reinforcement(Run):
    """A run that learns from what its own answers earn."""

    recipe: GrpoRecipe

    def __init__(
        self,
        recipe: GrpoRecipe,
        folder: Path,
        workers: Team,
        say: Say,
        earn: Reward | None = None,
    ) -> None:
        super().__init__(recipe, folder, workers, say)
        first = named.folder_of(recipe.init)
        self.tokenizer, self.earn = Tokenizer(first), earn
        self.model = Sparrow.from_pretrained(first).to(workers.device)
        self.model.mtp.requires_grad_(False)  # what it predicts is not asked for here
        self.optimizer = make_optimizer(self.model, recipe)
        self.scaler = torch.amp.GradScaler(workers.device.type, enabled=False)
        self.reference = copy.deepcopy(self.model).eval() if recipe.beta else None
        self.hopeless = 0  # steps in a row without any reward

    # ---- going on, and keeping ----

    def tensors(self) -> dict[str, Tensor]:
        """As for every run, and the reference if there is one."""
        found = super().tensors()
        if self.reference is not None:
            for name, each in self.reference.state_dict().items():
                found[f"{REFERENCE}{name}"] = each.detach().cpu().clone()
        return found

    def go_on_from(self, found: State) -> None:
        """Put everything back."""
        super().go_on_from(found)
        if self.reference is not None:
            self.reference.load_state_dict(
                {
                    name.removeprefix(REFERENCE): each
                    for name, each in found.tensors.items()
                    if name.startswith(REFERENCE)
                }
            )

    def before_first_step(self) -> None:
        """Measure whether there is a chance to learn, and begin the curve at 0."""
        if self.workers.leads:
            found = gate.measure(self.model, self.tokenizer, self.recipe)
            gate.decide(found, is_binding=self.recipe.gate, say=self.say)
        self.look()
        self.workers.wait()

    # ---- one step ----

    def step_once(self) -> Callable[[float], Rollouts]:
        """Ask, answer, reward, compare, move."""
        self.model.eval()
        answers, earned, drawn = self._answers()
        self.model.train()
        self._lose_hope(earned)
        kept = self._kept(answers, earned)
        learned = self._learn(kept)
        self._renew_reference()
        return self._line(answers, earned, drawn, kept, learned)

    def _generator(self, number: int) -> torch.Generator:
        """A generator of this step; 0 is for controls, the others for answers."""
        seed = (self.recipe.seed * problems.STRIDE + self.step) * RANKS + number
        return runtime.generator(seed)

    def _answers(self) -> tuple[Answers, Tensor, int]:
        """Answers to this process's questions, what they earn, and how many were drawn.

        With `refill`, questions whose groups show no signal are asked anew.
        """
        recipe, workers = self.recipe, self.workers
        mine = problems.asked(recipe, self.step)[workers.rank :: workers.size]
        draw = self._generator(1 + workers.rank)
        answers = self._ask(mine, draw)
        earned = self._reward(answers)
        drawn = earned.numel()
        for _round in range(recipe.refill):
            empty = (~rollout.with_signal(earned)).nonzero()[:, 0].tolist()
            if not empty:
                break
            again = self._ask([mine[place] for place in empty], draw)
            answers = _replaced(answers, again, empty)
            earned[empty] = self._reward(again)
            drawn += len(empty) * recipe.group_size
        return answers, earned, drawn

    def _ask(self, asked: list[Problem], draw: torch.Generator) -> Answers:
        return ask(
            self.model,
            self.tokenizer,
            asked,
            samples=self.recipe.group_size,
            temperature=self.recipe.temperature,
            max_new_tokens=self.recipe.max_new_tokens,
            form=self.recipe.form,
            generator=draw,
        )

    def _reward(self, answers: Answers) -> Tensor:
        draw = self._generator(0)
        return reward.rewards_of(answers, self.recipe, generator=draw, reward=self.earn)

    def _lose_hope(self, earned: Tensor) -> None:
        """Count steps in which nobody earned anything, and end a run that is hopeless.

        Raises:
            RewardError: see `grpo`.
        """
        some = self.workers.any(bool((earned > 0).any()))
        self.hopeless = 0 if some else self.hopeless + 1
        if self.hopeless < self.recipe.hopeless_steps:
            return
        self.save()
        raise RewardError(
            _(
                "no answer earned anything for {steps} steps: without a single right "
                "answer there is nothing to learn from. Take easier problems, a "
                "longer cold start, or longer answers (max_new_tokens is {tokens}).",
                steps=self.hopeless,
                tokens=self.recipe.max_new_tokens,
            )
        )

    def _kept(self, answers: Answers, earned: Tensor) -> list[Rollout]:
        """The answers to learn from, each with its advantage."""
        recipe = self.recipe
        advantages = advantage.group_advantage(earned, scale=recipe.scale)
        kept = []
        for place in rollout.with_signal(earned).nonzero()[:, 0].tolist():
            prompt = prompt_of(self.tokenizer, answers.problems[place], recipe.form)
            for completion, worth in zip(
                answers.completions[place], advantages[place].tolist(), strict=True
            ):
                if completion.stopped or recipe.overlong != "mask":
                    kept.append(Rollout(prompt, completion, worth))
        return kept

    def _learn(self, kept: list[Rollout]) -> Learned:
        """Move the weights, `updates` times, each time for a part of the answers."""
        recipe, found = self.recipe, Learned()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        for number in range(recipe.updates):
            part = kept[number :: recipe.updates]
            whole = self._whole(part)
            if not whole.tokens:
                continue  # no process has anything to learn from
            for sheet in rollout.sheets(part, recipe.micro_batch_tokens):
                self._add_gradient(sheet, whole, found)
            self._share_gradients()
            found.gradient_norm = clip(self.model, recipe.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return found

    def _whole(self, part: list[Rollout]) -> Whole:
        """How many answers and tokens all processes have together."""
        tokens = sum(len(each.completion.tokens) for each in part)
        both = torch.tensor([len(part), tokens], device=self.workers.device)
        sequences, tokens = self.workers.sum(both).tolist()
        return Whole(
            sequences=sequences, tokens=tokens, length=self.recipe.max_new_tokens
        )

    def _add_gradient(self, sheet: Sheet, whole: Whole, found: Learned) -> None:
        recipe, device = self.recipe, self.model.device
        tokens, mask = sheet.tokens.to(device), sheet.mask.to(device)
        reference = None
        if self.reference is not None:
            with torch.no_grad():
                reference = logprobs_of(self.reference, tokens)
        result = objective.policy_loss(
            logprobs_of(self.model, tokens),
            sheet.old_logprobs.to(device),
            sheet.advantages.to(device),
            mask,
            kind=recipe.kind,
            clip_low=recipe.clip_low,
            clip_high=recipe.clip_high,
            ref_logprobs=reference,
            beta=recipe.beta,
            whole=whole,
        )
        result.loss.backward()
        found.loss += float(result.loss.detach()) / recipe.updates
        found.kl += float(0.0 if result.kl is None else result.kl) / recipe.updates
        found.clip_low += float(result.clip_low_frac) / recipe.updates
        found.clip_high += float(result.clip_high_frac) / recipe.updates

    def _share_gradients(self) -> None:
        """Add up the gradients of all processes; one without answers brings zeros."""
        if self.workers.size == 1:
            return
        for each in self.model.parameters():
            if each.requires_grad:
                if each.grad is None:
                    each.grad = torch.zeros_like(each)
                self.workers.sum(each.grad)

    def _rate(self) -> float:
        recipe = self.recipe
        return schedule.learning_rate(
            self.step,
            peak=recipe.learning_rate,
            warmup_steps=recipe.warmup_steps,
            decay_steps=round(recipe.decay_frac * recipe.steps),
            total_steps=recipe.steps,
            floor=recipe.floor_frac * recipe.learning_rate,
        )

    def _renew_reference(self) -> None:
        every = self.recipe.reference_every
        if self.reference is not None and every and (self.step + 1) % every == 0:
            self.reference.load_state_dict(self.model.state_dict())

    # ---- what is told ----

    def _line(
        self,
        answers: Answers,
        earned: Tensor,
        drawn: int,
        kept: list[Rollout],
        learned: Learned,
    ) -> Callable[[float], Rollouts]:
        """The line of this step: sums over all processes, then means."""
        sums = telling.sums(answers, earned, drawn, kept, learned)
        total = self.workers.sum(sums.to(self.workers.device)).tolist()
        rate = self._rate()

        def line(seconds: float) -> Rollouts:
            return telling.line(
                total,
                step=self.step,
                questions=self.recipe.questions,
                gradient_norm=learned.gradient_norm,
                learning_rate=rate,
                seconds=self.seconds,
                step_seconds=seconds,
            )

        return line

    def look(self) -> None:
        """Greedy answers to problems that training never asks."""
        if not self.workers.leads:
            return
        recipe = self.recipe
        found = ask(
            self.model,
            self.tokenizer,
            problems.examination(recipe, recipe.examined),
            max_new_tokens=recipe.max_new_tokens,
            form=recipe.form,
        )
        right = int((found.rewards == 1).sum())
        share = intervals.wilson_interval(right, len(found.problems))
        self.tell(
            Exam(
                step=self.step,
                pass1=share.estimate,
                low=share.low,
                high=share.high,
                problems=share.n,
                length=float(found.lengths.float().mean()),
                backtracks=float(found.backtracks.double().mean()),
                seconds=self.seconds,
            )
        )


def _replaced(answers: Answers, again: Answers, places: list[int]) -> Answers:
    """The same answers with some groups replaced by new ones."""
    texts, scores = list(answers.texts), list(answers.scores)
    completions = list(answers.completions)
    for number, place in enumerate(places):
        texts[place] = again.texts[number]
        scores[place] = again.scores[number]
        completions[place] = again.completions[number]
    return Answers(answers.problems, tuple(texts), tuple(scores), tuple(completions))
