"""Conversations to imitate: all is read, only what the assistant says is learned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparrow.data import packing
from sparrow.data.packing import IGNORED, Packed
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.text import Tokenizer

__all__ = [
    "Example",
    "answer_mask",
    "entropy",
    "example",
    "is_sure",
    "pack_whole",
    "refuse_longer",
]


@dataclass(frozen=True)
class Example:
    """A question and an answer, as tokens; the token that ends it is not in it."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer) + 1


def example(tokenizer: Tokenizer, question: str, answer: str) -> Example:
    """A question in the chat template of a model, and the answer to imitate."""
    prompt = tokenizer.chat([{"role": "user", "content": question}])
    return Example(tuple(prompt), tuple(tokenizer.encode(answer)))


def answer_mask(tokens: Tensor, *, assistant: int, end: int) -> Tensor:
    """Which tokens the assistant wrote: from after its mark to its end token.

    Args:
        tokens: rows of whole conversations, also several in one row.
        assistant: the token that says that the assistant speaks.
        end: the token that closes each turn; the assistant writes its own.

    Shapes:
        tokens: [R, T]; returns bool [R, T].
    """
    # 1. Walk along the row and remember who speaks: nobody at first.
    speaks = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    columns = []
    for column in tokens.unbind(dim=1):
        # 2. While the assistant speaks, the token is its own, its end token too.
        columns.append(speaks)
        # 3. Its mark begins its turn; the end token closes any turn.
        speaks = (speaks | (column == assistant)) & (column != end)
    return torch.stack(columns, dim=1)


def pack_whole(
    examples: Sequence[Example], length: int, *, assistant: int, end: int
) -> Packed:
    """Lay conversations into rows without cutting any; learn only the answers.

    Args:
        examples: each with its `prompt` and its `answer`; `len` counts `end`, too.
        length: tokens a row, T.
        assistant: the token that says that the assistant speaks.
        end: the token that closes each turn.

    Shapes:
        returns [R, T] each.

    Raises:
        ConfigError: one of them is longer than a row.
    """
    refuse_longer(examples, length)
    documents: list[tuple[int, ...]] = []
    left = length
    for each in examples:
        # 1. If it does not fit, fill the row up with empty documents: one token each.
        if len(each) > left:
            documents += [()] * left
            left = length
        # 2. Lay it down: its prompt and its answer are one document.
        documents.append((*each.prompt, *each.answer))
        left -= len(each)
    # 3. Pack: the documents fill whole rows now, so nothing is cut.
    packed = packing.pack(documents, length, end)
    # 4. A target is learned if the assistant wrote it; it stands one place further on.
    mask = answer_mask(packed.tokens, assistant=assistant, end=end)
    learned = torch.zeros_like(mask)
    learned[:, :-1] = mask[:, 1:]
    # 5. All other targets are IGNORED.
    return replace(packed, targets=packed.targets.where(learned, IGNORED))


def refuse_longer(examples: Sequence[Example], length: int) -> None:
    """Refuse conversations that no row can hold.

    Raises:
        ConfigError: the longest has more than `length` tokens.
    """
    longest = max(map(len, examples), default=0)
    if longest > length:
        raise ConfigError(
            _(
                "an example has {got} tokens and a row {length}: take longer rows "
                "or easier problems.",
                got=longest,
                length=length,
            )
        )


def entropy(logits: Tensor) -> Tensor:
    """How open each choice is: 0 if one token has all the probability, at most ln V.

    Shapes:
        logits: [..., V]; returns [...], in nats.

    Source: Shannon 1948, section 6.
    """
    # 1. Log-probabilities, in float32.
    logprob = logits.float().log_softmax(dim=-1)
    # 2. The mean surprise of a choice that the model makes itself.
    return -(logprob.exp() * logprob).sum(dim=-1)


def is_sure(entropies: Sequence[float], floor: float) -> bool:
    """Whether imitation must stop: two looks in a row at or below the floor.

    One look may be low by chance; the looks are taken at the same examples.
    """
    # 1. Only the last two count.
    latest = entropies[-2:]
    # 2. Both must be there, and low.
    return len(latest) == 2 and max(latest) <= floor
