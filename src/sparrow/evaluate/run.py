"""Ask a model questions with known answers, and keep everything it wrote.

Tags: the question stands in the chat template and the model answers inside tags. Told:
the same, and the tags are explained first, for a language model that never learned
them. Line: the question ends with a colon and the model goes on with the line, as a
base model does that has never seen a conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow import decode
from sparrow.data import search
from sparrow.decode import Completion
from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Tokenizer
from sparrow.verify import Form, Problem, Score, score

__all__ = ["Answers", "ask", "prompt_of", "stops_of"]

# For a language model; in English whatever the learner's language, as it was trained.
TOLD = (
    "Think between <think> and </think>, then write only the answer "
    "between <answer> and </answer>."
)


@dataclass(frozen=True)
class Answers:
    """What a model wrote: K completions for each of Q problems, in their order."""

    problems: tuple[Problem, ...]
    texts: tuple[tuple[str, ...], ...]
    scores: tuple[tuple[Score, ...], ...]
    completions: tuple[tuple[Completion, ...], ...]

    @property
    def rewards(self) -> Tensor:
        """[Q, K], each in 0..1."""
        return torch.tensor([[each.reward for each in row] for row in self.scores])

    @property
    def lengths(self) -> Tensor:
        """Tokens of each completion, [Q, K]."""
        return torch.tensor([[len(c.tokens) for c in row] for row in self.completions])

    @property
    def backtracks(self) -> Tensor:
        """How many tries each completion gives up, [Q, K]."""
        return torch.tensor(
            [
                [max(0, len(search.tries_of(text)) - 1) for text in row]
                for row in self.texts
            ]
        )

    @property
    def surprise(self) -> float:
        """The mean of −ln p over all tokens written: an estimate of the entropy."""
        written = [c for row in self.completions for c in row]
        tokens = sum(len(each.tokens) for each in written)
        return -sum(sum(each.logprobs) for each in written) / max(tokens, 1)

    def share(self, part: str) -> float:
        """How many completions have this part of the score: format or legality."""
        values = [float(getattr(each, part)) for row in self.scores for each in row]
        return sum(values) / len(values)


def prompt_of(tokenizer: Tokenizer, problem: Problem, form: Form) -> list[int]:
    """The tokens that ask a problem."""
    if form == "line":
        return tokenizer.encode(f"{problem.question}:")
    text = problem.question if form == "tags" else f"{problem.question}\n{TOLD}"
    return tokenizer.chat([{"role": "user", "content": text}])


def stops_of(model: Sparrow, tokenizer: Tokenizer, form: Form) -> list[int]:
    """The tokens that end an answer."""
    end = model.config.eos_token_id
    if form != "line":
        return [tokenizer.end if end is None else end]
    ends = [
        token
        for token in range(tokenizer.vocab_size)
        if tokenizer.decode([token]).startswith("\n")
    ]
    return [tokenizer.end, *ends]


def ask(
    model: Sparrow,
    tokenizer: Tokenizer,
    problems: Sequence[Problem],
    *,
    samples: int = 1,
    temperature: float = 0.0,
    max_new_tokens: int = 192,
    form: Form = "tags",
    generator: torch.Generator | None = None,
) -> Answers:
    """Let the model answer each problem `samples` times, and score the answers.

    Args:
        model: any Sparrow model.
        tokenizer: its tokenizer.
        problems: what to ask; at least one.
        samples: answers to each; more than one needs a temperature above 0.
        temperature: 0 is greedy.
        max_new_tokens: the longest answer.
        form: how to ask; see above.
        generator: the source of randomness.

    Raises:
        UsageError: there are no problems.
        PromptError: a problem is longer than the model can read.
    """
    if not problems or samples < 1:
        raise UsageError(
            _("there is nothing to ask: give at least one problem and one sample.")
        )
    was_training = model.training
    prompts = [prompt_of(tokenizer, each, form) for each in problems]
    written = decode.generate(
        model.eval(),
        [prompt for prompt in prompts for _sample in range(samples)],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop=stops_of(model, tokenizer, form),
        generator=generator,
    )
    model.train(was_training)
    texts = [tokenizer.decode(each.tokens) for each in written]
    scores = [
        score(problems[place // samples], text, form=form)
        for place, text in enumerate(texts)
    ]
    cut = range(0, len(written), samples)
    return Answers(
        tuple(problems),
        tuple(tuple(texts[place : place + samples]) for place in cut),
        tuple(tuple(scores[place : place + samples]) for place in cut),
        tuple(tuple(written[place : place + samples]) for place in cut),
    )
