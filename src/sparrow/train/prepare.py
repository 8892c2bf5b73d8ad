"""From a recipe to rows of tokens: corpus, tokenizer, stream, and what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparrow.data import corpus
from sparrow.data.stream import Stream
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.text import Tokenizer
from sparrow.text.learn import learn_tokenizer
from sparrow.train.recipe import Recipe

__all__ = ["Lessons", "Part", "held_out_part", "prepare"]

HELD_OUT_BYTES = 60_000  # of each part; more would cost time and tell little


@dataclass(frozen=True)
class Part:
    """One part of the held-out text: its token ids, and its size in bytes."""

    documents: tuple[tuple[int, ...], ...]
    text_bytes: int


@dataclass(frozen=True)
class Lessons:
    """What a run reads, and what it is examined on."""

    tokenizer: Tokenizer
    stream: Stream
    held_out: dict[str, Part]


def prepare(recipe: Recipe) -> Lessons:
    """Make everything that a run reads: the same recipe gives the same rows.

    Raises:
        CorpusError: the text is missing, empty or not text.
        ConfigError: the tokenizer has more tokens than the model.
    """
    text = corpus.build(
        recipe.corpus, seed=recipe.seed, size=round(recipe.corpus_mb * 1e6)
    )
    vocab_size = recipe.model.vocab_size
    tokenizer = (
        Tokenizer(Path(recipe.tokenizer))
        if recipe.tokenizer
        else learn_tokenizer(text.train, vocab_size)
    )
    if tokenizer.vocab_size > vocab_size:
        raise ConfigError(
            _(
                "the tokenizer has {got} tokens and the model {limit}: raise "
                "vocab_size or take another tokenizer.",
                got=tokenizer.vocab_size,
                limit=vocab_size,
            )
        )
    stream = Stream(
        tokenizer.encode_many(text.train),
        length=recipe.length,
        batch_size=recipe.batch_size,
        end=tokenizer.end,
        seed=recipe.seed,
    )
    held_out = {
        name: held_out_part(tokenizer, documents)
        for name, documents in text.held_out.items()
    }
    return Lessons(tokenizer, stream, held_out)


def held_out_part(tokenizer: Tokenizer, documents: Sequence[str]) -> Part:
    """The first documents that fit into `HELD_OUT_BYTES`, at least one."""
    taken, size = [], 0
    for document in documents:
        size += len(document.encode())
        taken.append(document)
        if size >= HELD_OUT_BYTES:
            break
    ids = tokenizer.encode_many(taken)
    return Part(tuple(tuple(each) for each in ids), size)
