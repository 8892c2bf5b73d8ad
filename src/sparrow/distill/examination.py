"""One examination for both ways: held-out problems, and four drawn answers to each.

R1's authors drew 64 (arXiv:2501.12948) and took the mean: a first answer hangs on the
likeliest token alone, and a near tie can turn it.
"""

from functools import cache

from sparrow.data import problems
from sparrow.distill.recipe import DistillRecipe
from sparrow.evaluate import run as evaluation
from sparrow.model import Sparrow, named
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.verify import Problem

__all__ = ["SAMPLES", "asked", "prompt_tokens", "rights", "shares"]

SEED = 20_250_120  # that of the examinations of reinforcement learning
PROBLEMS = 200
SAMPLES = 4


@cache
def asked() -> tuple[Problem, ...]:
    """The problems of lab 07: no training ever met them."""
    like = DistillRecipe()
    found = problems.drawn(
        "countdown",
        PROBLEMS,
        seed=SEED,
        numbers=like.numbers,
        largest=like.largest,
        held_out=True,
    )
    return tuple(found)


def rights(model: Sparrow, tokenizer: Tokenizer) -> list[int]:
    """How many of `SAMPLES` answers to each problem are right; drawn, not greedy."""
    answers = evaluation.ask(
        model,
        tokenizer,
        asked(),
        samples=SAMPLES,
        temperature=1.0,
        max_new_tokens=DistillRecipe().max_new_tokens,
        generator=generator(SEED),
    )
    return [int(row) for row in (answers.rewards == 1).sum(dim=1)]


def shares(model: Sparrow, tokenizer: Tokenizer) -> list[float]:
    """The share of right answers to each problem."""
    return [each / SAMPLES for each in rights(model, tokenizer)]


def prompt_tokens(model: str) -> float:
    """Tokens of a question, in the mean, as the tokenizer of a model counts them."""
    tokenizer = Tokenizer(named.folder_of(model))
    prompts = [evaluation.prompt_of(tokenizer, each, "tags") for each in asked()]
    return sum(map(len, prompts)) / len(prompts)
