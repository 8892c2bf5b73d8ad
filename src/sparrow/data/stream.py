"""Batches without end, each a pure function of seed and step: nothing to replay."""

import hashlib
from collections.abc import Sequence

import torch

from sparrow.data import packing
from sparrow.data.packing import Document, Packed
from sparrow.errors import CorpusError
from sparrow.language import _
from sparrow.runtime import generator

__all__ = ["FixedRows", "Stream"]


class Stream:
    """The order in which a run reads its documents.

    Every epoch shuffles the documents, packs them, and shuffles the rows, so that
    pieces of one long document do not all fall into one batch. A batch may take its
    last rows from the next epoch: every row is read once an epoch.

    Args:
        documents: token ids of each.
        length: tokens a row.
        batch_size: rows a batch, over all processes.
        end: the token that closes a document.
        seed: decides every order.

    Raises:
        CorpusError: there are no tokens to read.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        *,
        length: int,
        batch_size: int,
        end: int,
        seed: int,
    ) -> None:
        self._documents = [torch.as_tensor(each).long() for each in documents]
        tokens = sum(len(each) for each in self._documents)
        if not tokens:
            raise CorpusError(_("there is no text to learn from."))
        self.length = length
        self.batch_size = batch_size
        self.end = end
        self.seed = seed
        self.rows_per_epoch = -(-(tokens + len(self._documents)) // length)
        self._latest: tuple[int, Packed, torch.Tensor] | None = None

    @property
    def tokens_per_epoch(self) -> int:
        """Tokens that one epoch reads, those that close documents included."""
        return self.rows_per_epoch * self.length

    def batch(self, step: int) -> Packed:
        """The rows of one step, always in the same order.

        Of `size` processes, the one with number `rank` takes
        `batch(step).rows(slice(rank, None, size))`.

        Shapes:
            returns [batch_size, length] each.
        """
        first = step * self.batch_size
        number = torch.arange(first, first + self.batch_size)
        epochs = number // self.rows_per_epoch
        parts = []
        for epoch in epochs.unique().tolist():
            packed, order = self._epoch(epoch)
            places = number[epochs == epoch] % self.rows_per_epoch
            parts.append(packed.rows(order[places]))
        return Packed(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.targets for part in parts]),
            torch.cat([part.positions for part in parts]),
            torch.cat([part.document for part in parts]),
        )

    def _epoch(self, epoch: int) -> tuple[Packed, torch.Tensor]:
        """All rows of an epoch, and their order; the latest one is kept."""
        if self._latest is None or self._latest[0] != epoch:
            draw = generator(_mixed(self.seed, epoch))
            order = torch.randperm(len(self._documents), generator=draw)
            shuffled = [self._documents[place] for place in order.tolist()]
            packed = packing.pack(shuffled, self.length, self.end)
            rows = torch.randperm(self.rows_per_epoch, generator=draw)
            self._latest = epoch, packed, rows
        return self._latest[1:]


class FixedRows(Stream):
    """The same rows in every epoch; only their order changes.

    Args:
        packed: the rows.
        batch_size: rows a batch, over all processes.
        seed: decides every order.
    """

    def __init__(self, packed: Packed, *, batch_size: int, seed: int) -> None:
        self._packed = packed
        self.rows_per_epoch, self.length = packed.tokens.shape
        self.batch_size, self.seed = batch_size, seed

    def _epoch(self, epoch: int) -> tuple[Packed, torch.Tensor]:
        draw = generator(_mixed(self.seed, epoch))
        return self._packed, torch.randperm(self.rows_per_epoch, generator=draw)


def _mixed(seed: int, epoch: int) -> int:
    """A seed of 63 bits for one epoch, unlike that of any other seed and epoch."""
    digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
