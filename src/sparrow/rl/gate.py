"""May reinforcement learning begin? Four figures that decide it before hours are spent.

Reward can only strengthen what a model already does now and then. Where it is never
right there is nothing to strengthen; where all answers of a group earn the same there
is nothing to compare; where it is too sure nothing new is tried.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sparrow.errors import GateError
from sparrow.evaluate import intervals
from sparrow.evaluate.intervals import Interval
from sparrow.evaluate.run import Answers, ask
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.rl import problems, rollout
from sparrow.rl.recipe import GrpoRecipe
from sparrow.runtime import generator
from sparrow.text import Tokenizer

__all__ = ["Gate", "decide", "draw", "measure"]

QUESTIONS, SAMPLES = 64, 8
LOW, HIGH = 0.2, 0.6  # of pass@1
GAIN = 0.15  # how much pass@8 must be above pass@1
ENTROPY_FLOOR = 0.05  # nats a token
DEGENERATE = 0.5


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What was measured, on problems from the side that training may meet."""

    pass1: Interval  # of answers drawn at temperature 1
    pass8: Interval  # problems with at least one right answer of eight
    entropy: float  # nats a token
    degenerate_frac: float  # groups whose answers all earn the same

    def warnings(self) -> list[str]:
        """What speaks against beginning, and what to expect of it; empty: nothing."""
        found = []
        if self.pass1.estimate < LOW:
            found.append(
                _(
                    "pass@1 is {got:.2f}, below {limit}: right answers are so rare "
                    "that learning is slow, or settles on guessing. Imitate longer, or "
                    "take easier problems.",
                    got=self.pass1.estimate,
                    limit=LOW,
                )
            )
        if self.pass1.estimate > HIGH:
            found.append(
                _(
                    "pass@1 is {got:.2f}, above {limit}: little is left to learn. "
                    "Imitate less, or take harder problems.",
                    got=self.pass1.estimate,
                    limit=HIGH,
                )
            )
        if self.pass8.estimate < self.pass1.estimate + GAIN:
            found.append(
                _(
                    "pass@8 is {eight:.2f} and pass@1 {one:.2f}: eight answers find "
                    "hardly more than one, so there is little to strengthen. Let "
                    "answers differ: imitate less, or more varied traces.",
                    eight=self.pass8.estimate,
                    one=self.pass1.estimate,
                )
            )
        if self.entropy < ENTROPY_FLOOR:
            found.append(
                _(
                    "the entropy is {got:.3f} nats a token, below {limit}: the model "
                    "is too sure to try anything new. Imitate less.",
                    got=self.entropy,
                    limit=ENTROPY_FLOOR,
                )
            )
        if self.degenerate_frac > DEGENERATE:
            found.append(
                _(
                    "{got:.0%} of the groups are all right or all wrong, more than "
                    "{limit:.0%}: most of the work would teach nothing.",
                    got=self.degenerate_frac,
                    limit=DEGENERATE,
                )
            )
        return found

    @property
    def is_open(self) -> bool:
        """Whether nothing speaks against beginning."""
        return not self.warnings()


def draw(model: Sparrow, tokenizer: Tokenizer, recipe: GrpoRecipe) -> Answers:
    """Eight answers to each of 64 problems that training may meet."""
    return ask(
        model,
        tokenizer,
        problems.examination(recipe, min(QUESTIONS, recipe.examined), held_out=False),
        samples=SAMPLES,
        temperature=recipe.temperature,
        max_new_tokens=recipe.max_new_tokens,
        form=recipe.form,
        generator=generator(recipe.seed),
    )


def measure(model: Sparrow, tokenizer: Tokenizer, recipe: GrpoRecipe) -> Gate:
    """The four figures, from eight answers to each of 64 problems."""
    found = draw(model, tokenizer, recipe)
    right = found.rewards == 1
    return Gate(
        pass1=intervals.wilson_interval(int(right.sum()), right.numel()),
        pass8=intervals.wilson_interval(int(right.any(dim=1).sum()), len(right)),
        entropy=found.surprise,
        degenerate_frac=float((~rollout.with_signal(found.rewards)).float().mean()),
    )


def decide(gate: Gate, *, is_binding: bool, say: Callable[[str], None]) -> None:
    """Say what was measured; refuse to begin if the gate is shut and binding.

    Raises:
        GateError: it is shut.
    """
    say(
        _(
            "Before the first step: pass@1 {one:.2f}, pass@8 {eight:.2f}, entropy "
            "{entropy:.3f} nats a token, {share:.0%} of the groups without signal.",
            one=gate.pass1.estimate,
            eight=gate.pass8.estimate,
            entropy=gate.entropy,
            share=gate.degenerate_frac,
        )
    )
    warnings = gate.warnings()
    if warnings and is_binding:
        reasons = " ".join(warnings)
        raise GateError(
            _("{reasons} To begin all the same: --no-gate.", reasons=reasons)
        )
    for each in warnings:
        say(each)
