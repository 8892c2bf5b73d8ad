"""Cold start: imitate search traces for a short while, and stop before curiosity ends.

The model reads whole conversations, and learns only what the assistant says. It stops
early when its choices become too sure: reinforcement learning can only strengthen
what is still tried now and then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import nn

from sparrow.data import (
    countdown,
    filtering,
    kinship,
    packing,
    programs,
    search,
    syllogisms,
)
from sparrow.data.packing import IGNORED
from sparrow.data.stream import FixedRows
from sparrow.language import _
from sparrow.model import Sparrow, named
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.text.chat import ASSISTANT
from sparrow.train import examples
from sparrow.train.examples import Example
from sparrow.train.loop import Reading
from sparrow.train.loss import language_loss
from sparrow.train.metrics import Line
from sparrow.train.parallel import Team
from sparrow.train.prepare import Lessons
from sparrow.train.recipe import Learning
from sparrow.train.run import Say, Trained, Watch, carry_out
from sparrow.train.settings import flag
from sparrow.train.state import State

if TYPE_CHECKING:
    from sparrow.verify.gym import GymProblem

__all__ = ["Examined", "Imitating", "Imitation", "SftRecipe", "sft", "traces"]

THOUGHTS = {  # how to think aloud about a problem, where we have written it down
    "gym:bf": programs.thought,
    "gym:family_relationships": kinship.thought,
    "gym:number_filtering": filtering.thought,
    "gym:syllogism": syllogisms.thought,
}
ROWS = 32  # at a time


@dataclass(frozen=True, kw_only=True)
class Imitating(Learning):
    """How a model imitates answers, whoever wrote them."""

    init: str = flag("pico-base", "Model to start from: a folder or a shipped one.")
    entropy_floor: float = flag(0.05, "Stop when choices are this sure, nats a token.")

    steps: int = flag(800, "How many steps at most.")
    length: int = flag(192, "Tokens a row.")
    batch_size: int = flag(24, "Rows of text a step, over all processes.")
    micro_batch_size: int = flag(12, "Rows at a time, to save memory; 0: all.")
    optimizer: Literal["adamw", "muon"] = flag("muon", "How weights follow.")
    warmup_steps: int = flag(20, "Steps until the rate is at its peak.")
    bias_speed: float = flag(1e-3, "Step of the experts' selection bias; 0: none.")
    mtp_weight: float = flag(0.0, "Weight of multi-token prediction.")
    evaluate_every_steps: int = flag(100, "Steps between looks at held-out examples.")
    examined: int = flag(200, "Held-out examples in a look.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.at_least(0, "entropy_floor")
        self.at_least(1, "examined")


@dataclass(frozen=True, kw_only=True)
class SftRecipe(Imitating):
    """Which searches to imitate: the flags of `sparrow sft`."""

    family: str = flag("countdown", "Problems: countdown, or one of reasoning-gym.")
    numbers: int = flag(3, "Countdown: numbers a problem; more are harder.")
    largest: int = flag(12, "Countdown: the largest number given.")
    examples: int = flag(75_000, "Conversations to imitate.")
    steps: int = flag(1200, "How many steps at most.")
    patience: float = flag(0.08, "The share of traces that think to the end.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.at_least(1, "examples")
        self.at_most_one("patience")


@dataclass(frozen=True, kw_only=True)
class Examined(Line):
    """One look at traces that are never imitated; nats a token of the assistant."""

    kind: ClassVar[str] = "examined"

    loss: float
    entropy: float
    tokens: int


def sft(
    recipe: SftRecipe,
    folder: Path,
    *,
    resume: bool = True,
    watch: Watch | None = None,
    say: Say = lambda _sentence: None,
) -> Trained:
    """Teach a model to search aloud, or go on where an earlier run stopped.

    Args as in `sparrow.train.loop.pretrain`.

    Raises:
        ConfigError: the folder holds another run, or the traces do not fit the model.
        CheckpointError: there is no model to start from.
        StorageError: the folder cannot be written, or the disk is full.
    """

    def make(workers: Team) -> Imitation:
        folder_of_init = named.folder_of(recipe.init)
        tokenizer = Tokenizer(folder_of_init)
        return Imitation(
            recipe,
            folder,
            workers,
            say,
            model=Sparrow.from_pretrained(folder_of_init).to(workers.device),
            tokenizer=tokenizer,
            train=traces(recipe, tokenizer, held_out=False),
            held_out=traces(recipe, tokenizer, held_out=True),
        )

    return carry_out(make, recipe, folder, resume=resume, watch=watch)


def traces(recipe: SftRecipe, tokenizer: Tokenizer, *, held_out: bool) -> list[Example]:
    """Problems with an impatient search for each; see `sparrow.data.search`.

    Those of reasoning-gym are answered rightly, and few of them with a thought.
    """
    seed = recipe.seed + (1 << 32 if held_out else 0)
    count = recipe.examined if held_out else recipe.examples
    draw = generator(seed)
    if recipe.family != "countdown":
        from sparrow.verify import gym  # it takes a second to import

        given = gym.gym_problems(recipe.family, count, seed=seed, held_out=held_out)
        told = [
            (each.question, _answered(each, recipe.patience, draw))
            for each in given
            if each.answers
        ]
    else:
        asked = countdown.problems(
            draw,
            count,
            numbers=recipe.numbers,
            largest=recipe.largest,
            held_out=held_out,
        )
        told = [
            (each.question, search.trace(each, draw, patience=recipe.patience))
            for each in asked
        ]
    return [examples.example(tokenizer, *each) for each in told]


def _answered(
    problem: "GymProblem", patience: float, generator: torch.Generator
) -> str:
    """The right answer, now and then with the thought that leads to it."""
    thinks = float(torch.rand((), generator=generator)) < patience
    think = THOUGHTS.get(problem.family) if thinks else None
    thought = think(problem.question) if think else ""
    return f"<think>{thought}</think><answer>{problem.answers[0]}</answer>"


class Imitation(Reading):
    """A run that learns the answers of conversations, and stops when it is too sure."""

    recipe: Imitating

    def __init__(
        self,
        recipe: Imitating,
        folder: Path,
        workers: Team,
        say: Say,
        *,
        model: Sparrow,
        tokenizer: Tokenizer,
        train: Sequence[Example],
        held_out: Sequence[Example],
        objective: nn.Module | None = None,
    ) -> None:
        recipe.check_length(model.config)
        assistant = tokenizer.token_id(ASSISTANT)
        assert assistant is not None, "every tokenizer with a template has its marks"
        marks = {"assistant": assistant, "end": tokenizer.end}
        packed = examples.pack_whole(train, recipe.length, **marks)
        stream = FixedRows(packed, batch_size=recipe.batch_size, seed=recipe.seed)
        lessons = Lessons(tokenizer, stream, {})
        super().__init__(
            recipe,
            folder,
            workers,
            say,
            model=model,
            lessons=lessons,
            objective=objective,
        )
        self.held_out = examples.pack_whole(held_out, recipe.length, **marks)
        self.entropies: list[float] = []

    def look(self) -> None:
        """How well, and how surely, the model continues answers that it never saw."""
        found = self._examine()
        self.tell(found)
        self.entropies.append(found.entropy)
        if examples.is_sure(self.entropies, self.recipe.entropy_floor):
            self.has_ended = True
            self.say(
                _(
                    "Stopped at step {step}: the model chooses with an entropy of "
                    "{entropy:.3f} nats a token, and the floor is {floor}. More "
                    "imitation would leave nothing to explore.",
                    step=self.step,
                    entropy=found.entropy,
                    floor=self.recipe.entropy_floor,
                )
            )

    @torch.inference_mode()
    def _examine(self) -> Examined:
        loss = entropy = 0.0
        count = int((self.held_out.targets != IGNORED).sum())
        for first in range(0, len(self.held_out.tokens), ROWS):
            rows = self.held_out.rows(slice(first, first + ROWS)).to(self.model.device)
            mask = packing.attention_mask(rows.document)
            logits = self.model(rows.tokens, positions=rows.positions, mask=mask)
            loss += float(language_loss(logits, rows.targets, count))
            is_answer = rows.targets != IGNORED
            entropy += float(examples.entropy(logits[is_answer]).sum()) / count
        return Examined(step=self.step, loss=loss, entropy=entropy, tokens=count)

    def facts(self) -> dict[str, object]:
        """As for every run, and what the looks found."""
        return super().facts() | {"entropies": self.entropies}

    def go_on_from(self, found: State) -> None:
        """Put everything back."""
        super().go_on_from(found)
        told = found.facts["entropies"]
        assert isinstance(told, list), "written by `facts`"
        self.entropies = [float(each) for each in told]
