"""What a model is calibrated with and measured on: text such as it will read."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from sparrow.data import corpus, problems, prose
from sparrow.errors import CorpusError
from sparrow.evaluate import run
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.text.chat import END
from sparrow.verify import Problem

__all__ = [
    "Text",
    "answers_questions",
    "calibration_text",
    "held_out_text",
    "own_answers",
    "rows_of",
    "task_of",
]

LENGTH = 256  # tokens a row
TASK_SEED = 20_250_120  # the questions that `sparrow evaluate` asks
ANSWER = 192  # tokens at most
TRIED = 16  # questions that show whether a model answers any
HELD_OUT_QUESTIONS = 200  # hardly more of them exist
ANSWERS_A_ROW = 4  # an answer is about a quarter as long as a row
BYTES_A_TOKEN = 6  # more text than this is never needed


@dataclass(frozen=True)
class Text:
    """Token ids in rows, [R, T], and which of them are predicted, [R, T]."""

    ids: Tensor
    counts: Tensor

    @classmethod
    def whole(cls, ids: Tensor) -> "Text":
        """Rows of which every token counts."""
        return cls(ids, torch.ones_like(ids, dtype=torch.bool))


def answers_questions(model: Sparrow, tokenizer: Tokenizer) -> bool:
    """Whether the model was trained here to answer: then it puts answers in tags."""
    if tokenizer.token_id("<answer>") is None:
        return False
    asked = run.ask(
        model, tokenizer, _questions(TRIED, held_out=False), max_new_tokens=ANSWER
    )
    return asked.share("format") > 0.5


def task_of(count: int) -> list[Problem]:
    """Held-out questions: those that `sparrow evaluate` asks."""
    return _questions(count, held_out=True) if count else []


def _questions(count: int, *, held_out: bool) -> list[Problem]:
    return problems.drawn(
        "countdown", count, seed=TASK_SEED, numbers=3, largest=12, held_out=held_out
    )


def own_answers(
    model: Sparrow, tokenizer: Tokenizer, count: int, *, held_out: bool
) -> Text:
    """What the model itself answers to questions, drawn at temperature 1.

    On such text nothing can read better than the model that wrote it: what a copy
    loses is the distance between the two.
    """
    questions = _questions(count, held_out=held_out)
    draw = generator(TASK_SEED, model.device)
    asked = run.ask(
        model,
        tokenizer,
        questions,
        temperature=1.0,
        max_new_tokens=ANSWER,
        generator=draw,
    )
    prompts = [run.prompt_of(tokenizer, each, "tags") for each in questions]
    answers = [row[0].tokens for row in asked.completions]
    longest = max(len(a) + len(b) for a, b in zip(prompts, answers, strict=True))
    ids = torch.zeros(count, longest, dtype=torch.long)
    counts = torch.zeros(count, longest, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor([*prompt, *answer])
        counts[row, len(prompt) : end] = True
    return Text(ids, counts)


def held_out_text(
    model: Sparrow, tokenizer: Tokenizer, rows: int, *, is_trained: bool
) -> Text:
    """Text that no model of the kit was trained on, in rows of tokens.

    Args:
        model: the original.
        tokenizer: its tokenizer.
        rows: how many rows; or for `is_trained`, answers, four for a row.
        is_trained: whether it answers questions: then it reads its own answers.
    """
    if is_trained:
        count = min(ANSWERS_A_ROW * rows, HELD_OUT_QUESTIONS)
        return own_answers(model, tokenizer, count, held_out=True)
    if tokenizer.token_id("<answer>") is None:
        size = rows * LENGTH * BYTES_A_TOKEN
        return Text.whole(
            rows_of(model, tokenizer, prose.documents(size, held_out=True), rows)
        )
    parts = corpus.held_out().values()
    share = math.ceil(rows / len(parts))
    found = [rows_of(model, tokenizer, each, share) for each in parts]
    return Text.whole(torch.cat(found)[:rows])


def calibration_text(
    model: Sparrow, tokenizer: Tokenizer, rows: int, *, is_trained: bool
) -> Tensor:
    """Text such as the model will read, from the side that is open to training, [R, T].

    Arguments as in `held_out_text`. Of a model's own answers the longer half is taken,
    all cut to one length.
    """
    if is_trained:
        own = own_answers(model, tokenizer, 2 * ANSWERS_A_ROW * rows, held_out=False)
        lengths = own.counts.shape[1] - own.counts.flip(1).int().argmax(dim=1)
        length = int(lengths.median())
        return own.ids[lengths >= length, :length]
    size = rows * LENGTH * BYTES_A_TOKEN
    if tokenizer.token_id("<answer>") is None:
        return rows_of(model, tokenizer, prose.documents(size, held_out=False), rows)
    return rows_of(model, tokenizer, corpus.build("pico", size=size).train, rows)


def rows_of(
    model: Sparrow, tokenizer: Tokenizer, documents: Iterable[str], rows: int
) -> Tensor:
    """Documents one after the other, cut into rows of equal length, [at most R, T].

    Raises:
        CorpusError: there is too little text for one row.
    """
    end = tokenizer.token_id(END)
    end = model.config.eos_token_id if end is None else end
    close = [] if end is None else [end]
    length = min(LENGTH, model.config.max_position_embeddings)
    stream = (
        token for each in documents for token in (*tokenizer.encode(each), *close)
    )
    ids = torch.tensor(list(islice(stream, rows * length)), dtype=torch.long)
    whole = len(ids) // length
    if whole == 0:
        raise CorpusError(
            _(
                "there are {got} tokens of text, and a row needs {want}: give more "
                "text.",
                got=len(ids),
                want=length,
            )
        )
    return ids[: whole * length].view(whole, length)
