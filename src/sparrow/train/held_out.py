"""Bits per byte: how well a model predicts text that it never read.

Unlike the loss a token, it can be compared between tokenizers: bytes stay bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sparrow.data import packing
from sparrow.model import Sparrow
from sparrow.train.loss import language_loss
from sparrow.train.prepare import Lessons

__all__ = ["Scored", "bits_per_byte", "score_parts"]

ROWS = 32  # at a time


@dataclass(frozen=True)
class Scored:
    """How surprised the model was, in bits, and by how much text."""

    bits: float
    text_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """Bits of surprise for each byte of text."""
        return self.bits / self.text_bytes


@torch.inference_mode()
def bits_per_byte(
    model: Sparrow,
    documents: Sequence[Sequence[int]],
    text_bytes: int,
    *,
    length: int,
    end: int,
) -> Scored:
    """Read the documents once, packed in rows of `length` tokens.

    Args:
        model: any Sparrow model.
        documents: token ids, one list a document.
        text_bytes: how many bytes of text these are, in UTF-8.
        length: tokens a row; the first token of a row is not predicted.
        end: the token that closes a document; it is predicted, and has no bytes.
    """
    packed = packing.pack(documents, length, end)
    nats = 0.0
    for first in range(0, len(packed.tokens), ROWS):
        rows = packed.rows(slice(first, first + ROWS)).to(model.device)
        mask = packing.attention_mask(rows.document)
        logits = model(rows.tokens, positions=rows.positions, mask=mask)
        nats += float(language_loss(logits, rows.targets, count=1))
    return Scored(nats / math.log(2), text_bytes)


def score_parts(model: Sparrow, lessons: Lessons, length: int) -> dict[str, Scored]:
    """How well a model predicts each held-out part, in rows of `length` tokens."""
    return {
        name: bits_per_byte(
            model,
            part.documents,
            part.text_bytes,
            length=length,
            end=lessons.tokenizer.end,
        )
        for name, part in lessons.held_out.items()
    }
