"""Lay short documents end to end, so that no place in a batch is wasted on padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["IGNORED", "Document", "Packed", "attention_mask", "pack", "places_since"]

IGNORED = -100  # a target that nobody has to predict
Document = Sequence[int] | Tensor  # token ids


@dataclass(frozen=True)
class Packed:
    """Rows of tokens, and what each place has to know. All [R, T], int64."""

    tokens: Tensor
    targets: Tensor  # the token that really comes next; IGNORED across documents
    positions: Tensor  # how many places of its document stand before it in this row
    document: Tensor  # the number of its document

    def rows(self, which: slice | Tensor) -> "Packed":
        """Some of the rows; those of one process: `slice(rank, None, size)`."""
        return Packed(
            self.tokens[which],
            self.targets[which],
            self.positions[which],
            self.document[which],
        )

    def to(self, device: torch.device | str) -> "Packed":
        """The same rows on another device."""
        return Packed(
            self.tokens.to(device),
            self.targets.to(device),
            self.positions.to(device),
            self.document.to(device),
        )


def pack(documents: Sequence[Document], length: int, end: int) -> Packed:
    """Lay documents end to end, each closed by `end`, and cut every `length` tokens.

    A document that is cut begins again at position 0 in the next row: nothing there
    can look back over the cut, and no position is ever as large as `length`. The last
    token before the cut still has to predict the one after it. What is left of the
    last row is filled with empty documents, which predict nothing.

    Args:
        documents: token ids of each; at least one document.
        length: tokens a row, T.
        end: the token that closes a document.

    Shapes:
        returns [R, T] each; R * T is the first multiple of T that holds all tokens.
    """
    # 1. How long each is with its `end`; empty documents fill up the last row.
    lengths = [len(each) + 1 for each in documents]
    left_over = -sum(lengths) % length
    lengths += [1] * left_over
    # 2. One long line of tokens: each document, then `end`.
    closing = torch.tensor([end])
    pieces = [(torch.as_tensor(each).long(), closing) for each in documents]
    line = torch.cat([*chain.from_iterable(pieces), closing.expand(left_over)])
    # 3. Beside each token the number of its document.
    number = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    # 4. The target is the next token, if that belongs to the same document.
    targets = torch.full_like(line, IGNORED)
    targets[:-1] = line[1:].where(number[1:] == number[:-1], IGNORED)
    # 5. Cut the three lines into rows, and count the positions in each row.
    document = number.view(-1, length)
    tokens, targets = line.view(-1, length), targets.view(-1, length)
    return Packed(tokens, targets, places_since(document), document)


def places_since(document: Tensor) -> Tensor:
    """How many places of the same document stand before each one, in its row.

    Shapes:
        document: [R, T]; returns [R, T].
    """
    place = torch.arange(document.shape[1], device=document.device).expand_as(document)
    begins = F.pad(document[:, 1:] != document[:, :-1], (1, 0), value=True)
    # The latest beginning so far: the largest place where one was seen.
    return place - place.where(begins, 0).cummax(dim=1).values


def attention_mask(document: Tensor) -> Tensor:
    """Which places each place may look at: earlier ones of its own document.

    Args:
        document: the number of each place's document, as `pack` gives it.

    Shapes:
        document: [R, T]; returns bool [R, 1, T, T]: query, then key. The axis of
        length 1 is for the heads, which all have the same mask.
    """
    # 1. A pair of places is inside one document if their numbers are equal.
    same = document[:, None, :, None] == document[:, None, None, :]
    # 2. A place may look at itself and at what stands before it, never ahead.
    tokens = document.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=document.device).tril()
    # 3. Both must hold.
    return same & causal
