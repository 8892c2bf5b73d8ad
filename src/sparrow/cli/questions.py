"""Which problems a command asks a model, and how it may answer."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparrow import runtime
from sparrow.cli.models import opened
from sparrow.errors import UsageError
from sparrow.language import _

if TYPE_CHECKING:
    from sparrow.evaluate.run import Answers
    from sparrow.verify import Form, Problem

__all__ = ["Questions"]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """An examination: the same for every model that sits it."""

    family: str
    problems: int
    numbers: int
    largest: int
    held_out: bool
    samples: int
    temperature: float
    max_new_tokens: int
    form: "Form"
    seed: int
    problem_seed: int

    def __post_init__(self) -> None:
        for name, got in {"problems": self.problems, "samples": self.samples}.items():
            if got < 1:
                raise UsageError(
                    _("--{name} must be at least 1; got {got}.", name=name, got=got)
                )
        if not math.isfinite(self.temperature):
            raise UsageError(
                _("--temperature must be a number; got {got}.", got=self.temperature)
            )
        # Several greedy answers to one problem are one answer, several times.
        if self.samples > 1 and self.temperature == 0:
            raise UsageError(
                _(
                    "several samples at temperature 0 are all the same: raise "
                    "--temperature."
                )
            )

    def drawn(self) -> "list[Problem]":
        """The problems."""
        from sparrow.data import problems

        return problems.drawn(
            self.family,
            self.problems,
            seed=self.problem_seed,
            numbers=self.numbers,
            largest=self.largest,
            held_out=self.held_out,
        )

    def ask(self, name: str, problems: "list[Problem]") -> "Answers":
        """What a model answers: one of ours, an asset, or a checkpoint folder."""
        from sparrow.evaluate import run

        model, tokenizer = opened(name)
        return run.ask(
            model,
            tokenizer,
            problems,
            samples=self.samples,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            form=self.form,
            generator=runtime.generator(self.seed, model.device),
        )
