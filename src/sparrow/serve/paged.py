"""Keep the rows of all requests in one pool of blocks, and find them by a table.

The model sees a `Window`: a cache of some sequences, like any other, whose rows happen
to lie in blocks all over the pool.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparrow import large_pages
from sparrow.config import Config
from sparrow.model.cache import Cache, features_per_layer

__all__ = ["Group", "PagedCache", "Window"]


class PagedCache:
    """One buffer a layer, cut into blocks.

    Shapes:
        each layer's buffer: [blocks, block_size, F], F = features_per_layer(config).
    """

    def __init__(
        self,
        config: Config,
        blocks: int,
        block_size: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.block_size = block_size
        shape = (blocks, block_size, features_per_layer(config))
        self.buffers = [
            large_pages.zeros(shape, dtype).to(device)
            for _layer in range(config.num_hidden_layers)
        ]

    @property
    def bytes(self) -> int:
        """Bytes of all layers."""
        return sum(each.numel() * each.element_size() for each in self.buffers)

    def write(self, layer: int, slots: Tensor, rows: Tensor) -> None:
        """Put each token's row into its slot. Shapes: [N], [N, F]."""
        self.buffers[layer].flatten(0, 1).index_copy_(0, slots, rows)

    def read(self, layer: int, table: Tensor) -> Tensor:
        """The rows of some sequences, block by block.

        Shapes:
            table: [B, P], the blocks of each; returns [B, P · block_size, F].
        """
        rows = self.buffers[layer].index_select(0, table.flatten())
        return rows.view(len(table), -1, rows.shape[-1])


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sequences that have about as many new tokens, as one rectangle.

    A sequence with fewer repeats its last one: the same is computed and written twice.

    Shapes:
        where: [B, Q], places in the step's flat list of tokens; table: [B, P], blocks;
        visible: [B, 1, Q, P · block_size], True where a token may look.
    """

    where: Tensor
    table: Tensor
    visible: Tensor


class Window(Cache):
    """What a model takes for the cache of one group.

    Only `append` is different: rows go into their slots and come from their blocks.
    """

    def __init__(self, pages: PagedCache, slots: Tensor, table: Tensor) -> None:
        self.pages, self.slots, self.table = pages, slots, table
        self.buffers, self.length = pages.buffers, 0

    def append(self, layer: int, rows: Tensor) -> Tensor:
        """Write new tokens' rows; return all rows of each sequence.

        Shapes:
            rows: [B, Q, F]; returns [B, P · block_size, F].
        """
        self.pages.write(layer, self.slots.flatten(), rows.flatten(0, 1))
        return self.pages.read(layer, self.table)

    def advance(self, tokens: int) -> None:
        """Do nothing: the scheduler counts."""
