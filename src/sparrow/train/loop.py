"""Pretraining: read a batch, learn from it, and look at text that is never read."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from torch import nn

from sparrow.cost.measure import matmul_rate
from sparrow.cost.training import training_flops_per_token
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.model.compiled import compile_layers
from sparrow.train import metrics
from sparrow.train.held_out import score_parts
from sparrow.train.learner import Learner
from sparrow.train.parallel import Team
from sparrow.train.prepare import Lessons, prepare
from sparrow.train.recipe import Learning, Recipe
from sparrow.train.run import Run, Say, Trained, Watch, carry_out

__all__ = ["Reading", "Trained", "Watch", "pretrain"]


def pretrain(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = True,
    watch: Watch | None = None,
    say: Say = lambda _sentence: None,
) -> Trained:
    """Train a model from nothing, or go on where an earlier run in `folder` stopped.

    On a CPU the resumed run equals the uninterrupted one, bit for bit. Several
    processes, started by `torchrun`, share each batch.

    Args:
        recipe: what to train, on what, and how.
        folder: where everything is kept.
        resume: False: refuse a folder that holds a run.
        watch: is told every step and every look at held-out text.
        say: is told, in sentences, what a person should know.

    Raises:
        ConfigError: the folder holds a run of another recipe.
        CheckpointError: all its checkpoints are damaged.
        CorpusError: the text cannot be read.
        StorageError: the folder cannot be written, or the disk is full.
    """

    def make(workers: Team) -> Reading:
        lessons = prepare(recipe)
        config = recipe.model.replace(eos_token_id=lessons.tokenizer.end)
        model = Sparrow(config).to(workers.device)
        return Reading(recipe, folder, workers, say, model=model, lessons=lessons)

    return carry_out(make, recipe, folder, resume=resume, watch=watch)


class Reading(Run):
    """A run that learns from rows of text."""

    recipe: Learning

    def __init__(
        self,
        recipe: Learning,
        folder: Path,
        workers: Team,
        say: Say,
        *,
        model: Sparrow,
        lessons: Lessons,
        objective: nn.Module | None = None,
    ) -> None:
        super().__init__(recipe, folder, workers, say)
        self.model, self.lessons = model, lessons
        self.tokenizer = lessons.tokenizer
        if recipe.compile and not compile_layers(model):
            say(_("There is no C++ compiler here: nothing is compiled."))
        self.learner = Learner(model, recipe, workers, objective)
        self.optimizer, self.scaler = self.learner.optimizer, self.learner.scaler
        self.flops_per_step = recipe.tokens_per_step * training_flops_per_token(
            model.config, recipe.length
        )

    @cached_property
    def peak_flops_per_s(self) -> float:
        """How fast all processes together multiply, at most; only who leads asks."""
        return matmul_rate(where=self.workers.device).median * self.workers.size

    def step_once(self) -> Callable[[float], metrics.Step]:
        """Learn from one batch."""
        learned = self.learner.learn(self.lessons.stream.batch(self.step), self.step)

        def line(seconds: float) -> metrics.Step:
            tokens = self.recipe.tokens_per_step
            return metrics.Step(
                step=self.step,
                tokens=self.step * tokens,
                seconds=self.seconds,
                tokens_per_s=tokens / seconds,
                flops_frac=self.flops_per_step / seconds / self.peak_flops_per_s,
                **asdict(learned),
            )

        return line

    def look(self) -> None:
        """How well the model predicts text that it never reads."""
        if not self.workers.leads:
            return
        scores = score_parts(self.model, self.lessons, self.recipe.length)
        for name, scored in scores.items():
            self.tell(
                metrics.HeldOut(
                    step=self.step,
                    part=name,
                    bits_per_byte=scored.bits_per_byte,
                    text_bytes=scored.text_bytes,
                )
            )
