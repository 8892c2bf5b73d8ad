"""Distillation: let a teacher answer, keep what is right, and learn from that."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sparrow.data import countdown, packing
from sparrow.data.packing import IGNORED, Packed
from sparrow.distill import sampler, soft
from sparrow.distill.recipe import DistillRecipe
from sparrow.distill.sampler import Taught
from sparrow.errors import TeacherError
from sparrow.language import _
from sparrow.model import Sparrow, named
from sparrow.runtime import device, fast_matmul, generator, writable_folder
from sparrow.text import Tokenizer
from sparrow.train import examples
from sparrow.train.objective import Losses
from sparrow.train.parallel import Team
from sparrow.train.run import Say, Trained, Watch, carry_out
from sparrow.train.sft import Imitation, SftRecipe, traces

__all__ = ["SoftObjective", "distill", "lessons"]


def distill(
    recipe: DistillRecipe,
    folder: Path,
    *,
    resume: bool = True,
    watch: Watch | None = None,
    say: Say = lambda _sentence: None,
) -> Trained:
    """Teach a student what a teacher can do, or go on where an earlier run stopped.

    FOLDER/lessons.jsonl holds what the teacher wrote and the rule called right; its
    first line says how much the teacher wrote for it.

    Args as in `sparrow.train.loop.pretrain`.

    Raises:
        ConfigError: the folder holds another run, or answers do not fit into a row.
        CheckpointError: there is no teacher or no student of that name.
        TeacherError: the teacher reads other tokens, or is never right.
        StorageError: the folder cannot be written, or the disk is full.

    Source: arXiv:2501.12948, sections 2.3.3 and 2.4.
    """

    def make(workers: Team) -> Imitation:
        return _student(recipe, folder, workers, say)

    return carry_out(make, recipe, folder, resume=resume, watch=watch)


class SoftObjective(nn.Module):
    """The distance to a teacher's probabilities, at every token of an answer."""

    def __init__(self, student: Sparrow, teacher: Sparrow, recipe: DistillRecipe):
        super().__init__()
        self.student = student
        self.teacher = (teacher,)  # inside a tuple it is no part that learns
        self.method, self.softness = recipe.method, recipe.softness

    def forward(self, batch: Packed, count: int, rows: int) -> Losses:
        """The losses of a part of a batch; see `sparrow.train.objective.Objective`."""
        mask = packing.attention_mask(batch.document)
        with torch.no_grad():
            wanted = self._scores(self.teacher[0], batch, mask)
        given = self._scores(self.student, batch, mask)
        is_answer = batch.targets != IGNORED
        measure = soft.forward_kl if self.method == "forward" else soft.reverse_kl
        distance = measure(
            wanted[is_answer], given[is_answer], temperature=self.softness
        )
        hard = soft.surprise(given[is_answer], batch.targets[is_answer])
        zero = distance.new_zeros(())
        return Losses(
            distance.sum() / max(count, 1), hard.sum() / max(count, 1), zero, zero
        )

    @staticmethod
    def _scores(model: Sparrow, batch: Packed, mask: Tensor) -> Tensor:
        hidden = model.hidden(batch.tokens, positions=batch.positions, mask=mask)
        return model.logits(hidden)


def lessons(
    recipe: DistillRecipe,
    folder: Path,
    *,
    say: Say = lambda _sentence: None,
    watch: Callable[[int], None] = lambda _asked: None,
) -> Taught:
    """Let the teacher of a run write its lessons, or find those it wrote before.

    Raises:
        CheckpointError: there is no teacher or no student of that name.
        TeacherError: the teacher reads other tokens, or is never right.
    """
    tokenizer = _tokenizer(recipe)

    def make() -> Taught:
        draw = generator(recipe.seed)
        asked = countdown.problems(
            draw,
            recipe.problems,
            numbers=recipe.numbers,
            largest=recipe.largest,
            held_out=False,
        )
        with fast_matmul():
            return sampler.collect(
                _teacher(recipe),
                tokenizer,
                asked,
                samples=recipe.samples,
                most=recipe.most,
                temperature=recipe.temperature,
                max_new_tokens=recipe.max_new_tokens,
                generator=draw,
                say=say,
                watch=watch,
            )

    return sampler.kept_at(writable_folder(folder) / sampler.LESSONS, make)


def _student(recipe: DistillRecipe, folder: Path, workers: Team, say: Say) -> Imitation:
    """The run that learns, with its lessons made or found."""
    taught, tokenizer = lessons(recipe, folder, say=say), _tokenizer(recipe)
    model = Sparrow.from_pretrained(named.folder_of(recipe.init)).to(workers.device)
    objective = None
    if recipe.method != "hard":
        objective = SoftObjective(model, _teacher(recipe), recipe)
    return Imitation(
        recipe,
        folder,
        workers,
        say,
        model=model,
        tokenizer=tokenizer,
        train=[examples.example(tokenizer, *each) for each in taught.lessons],
        held_out=_held_out(recipe, tokenizer),
        objective=objective,
    )


def _tokenizer(recipe: DistillRecipe) -> Tokenizer:
    """The one that both read with."""
    tokenizer = Tokenizer(named.folder_of(recipe.init))
    above = Tokenizer(named.folder_of(recipe.teacher))
    if tokenizer.to_json() != above.to_json():
        raise TeacherError(
            _(
                "{teacher} and {student} read text as other tokens, so one cannot "
                "teach the other: take two models with one tokenizer.",
                teacher=recipe.teacher,
                student=recipe.init,
            )
        )
    return tokenizer


def _teacher(recipe: DistillRecipe) -> Sparrow:
    """It answers, and learns nothing."""
    teacher = Sparrow.from_pretrained(named.folder_of(recipe.teacher)).to(device())
    return teacher.eval().requires_grad_(False)


def _held_out(recipe: DistillRecipe, tokenizer: Tokenizer) -> list[examples.Example]:
    """Patient searches for problems of the tests: only looked at, never learned."""
    like = SftRecipe(
        seed=recipe.seed,
        numbers=recipe.numbers,
        largest=recipe.largest,
        patience=1.0,
        examined=recipe.examined,
    )
    return traces(like, tokenizer, held_out=True)
