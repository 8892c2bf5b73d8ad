"""Cut the cache into small blocks, lend them out, and find again what they hold.

A block has room for a few tokens of one request. Requests that begin with the same
tokens read the same blocks, so each block counts its readers. A block without readers
is free, but what it holds stays known until somebody else needs the room.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparrow.errors import CacheFull
from sparrow.language import _

__all__ = ["BlockPool", "Content", "content_hash"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Content:
    """What a full block holds: its tokens, behind everything before them."""

    key: int
    tokens: tuple[int, ...]
    before: "Content | None"  # of the block before; None: these are the first tokens


def content_hash(before: int, tokens: Sequence[int]) -> int:
    """One number for a block's tokens and for everything that comes before them.

    The same tokens mean something else behind another text, since each row of the
    cache depends on all tokens up to its own.

    Args:
        before: the number of the block before; 0 where there is none.
        tokens: what this block holds.

    Source: prefix sharing in PagedAttention, arXiv:2309.06180, section 4.4.
    """
    # 1. The block before stands for all that is before it.
    # 2. Order counts: a tuple's hash changes when two tokens change places.
    return hash((before, tuple(tokens)))


class BlockPool:
    """Blocks that are lent by count: a block is free when nobody reads it.

    Args:
        count: how many blocks there are.
        block_size: tokens that one block has room for.
        prefix_cache: find blocks again by what they hold.
    """

    def __init__(
        self, count: int, block_size: int, *, prefix_cache: bool = True
    ) -> None:
        self.block_size, self.prefix_cache = block_size, prefix_cache
        self.readers = [0] * count
        self.contents: list[Content | None] = [None] * count
        self.known: dict[int, int] = {}  # content hash -> block
        # Free blocks, those to be used first at the front.
        self.idle: OrderedDict[int, None] = OrderedDict.fromkeys(range(count))

    @property
    def free_blocks(self) -> int:
        """Blocks that nobody reads."""
        return len(self.idle)

    @property
    def used_blocks(self) -> int:
        """Blocks that somebody reads."""
        return len(self.readers) - len(self.idle)

    @property
    def cached_blocks(self) -> int:
        """Blocks whose content is known, read by somebody or not."""
        return len(self.known)

    def blocks_for(self, tokens: int) -> int:
        """How many blocks so many tokens need."""
        return -(-tokens // self.block_size)

    def allocate(self, count: int) -> list[int]:
        """Lend `count` blocks that nobody reads, each with one reader.

        Raises:
            CacheFull: fewer are free; nothing was lent.

        Source: arXiv:2309.06180, sections 4.2 and 4.3.
        """
        # 1. All or nothing.
        if count > len(self.idle):
            raise CacheFull(
                _(
                    "{needed} blocks of the cache are needed and {free} are free; wait "
                    "until others have finished.",
                    needed=count,
                    free=len(self.idle),
                )
            )
        # 2. Take from the front: those unused for longest.
        taken = [self.idle.popitem(last=False)[0] for _block in range(count)]
        # 3. What they held is known no more, and each has one reader.
        for block in taken:
            self.forget(block)
            self.readers[block] = 1
        return taken

    def share(self, blocks: Sequence[int]) -> None:
        """Count one more reader of each block; those that were free are so no more."""
        for block in blocks:
            self.readers[block] += 1
            self.idle.pop(block, None)

    def free(self, blocks: Sequence[int]) -> None:
        """Give back one reader's share of each block.

        Args:
            blocks: of one request, in the order of its tokens.

        Source: arXiv:2309.06180, section 4.4.
        """
        # 1. From the last to the first: the beginning of a text is shared most often,
        # so it is used for something else last.
        for block in reversed(blocks):
            assert self.readers[block] > 0, "nobody reads this block"
            # 2. One reader less.
            self.readers[block] -= 1
            # 3. Without readers it is free: at the back of the queue if its content is
            # known, at the front if nobody could find it again.
            if self.readers[block] == 0:
                self.idle[block] = None
                self.idle.move_to_end(block, last=self.contents[block] is not None)

    def longest_prefix(self, tokens: Sequence[int]) -> list[int]:
        """The blocks that hold the beginning of `tokens`, as far as it is known.

        A hash only says where to look: the tokens are compared, and so is what comes
        before them. So two texts with one hash never read each other's blocks.
        """
        found: list[int] = []
        before: Content | None = None
        # 1. Go through the full blocks of the text, from its beginning.
        for piece in self._pieces(tokens):
            # 2. Look up what this block holds, behind all the blocks before it.
            block = self._find(before, piece)
            # 3. Stop at the first one that nobody has computed.
            if block is None:
                break
            found.append(block)
            before = self.contents[block]
        return found

    def remember(
        self, block: int, before: Content | None, tokens: Sequence[int]
    ) -> Content:
        """Note what a block holds, now that it is full.

        Args:
            block: the block.
            before: what the block before it holds.
            tokens: its tokens.

        Returns:
            What the next block gives as `before`.
        """
        piece = tuple(tokens)
        key = content_hash(before.key if before else 0, piece)
        other = self._find(before, piece)
        if other is not None:
            content = self.contents[other]
            assert content is not None, "a block that is found holds something"
            return content
        content = Content(key=key, tokens=piece, before=before)
        if self.prefix_cache and key not in self.known:
            self.known[key], self.contents[block] = block, content
        return content

    def forget(self, block: int) -> None:
        """Let nobody find this block again."""
        content = self.contents[block]
        if content is not None:
            del self.known[content.key]
            self.contents[block] = None

    def _pieces(self, tokens: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The tokens of each full block."""
        for start in range(0, len(tokens) - self.block_size + 1, self.block_size):
            yield tuple(tokens[start : start + self.block_size])

    def _find(self, before: Content | None, piece: tuple[int, ...]) -> int | None:
        """The block that holds `piece` behind `before`, if one does."""
        key = content_hash(before.key if before else 0, piece)
        block = self.known.get(key)
        if block is None:
            return None
        content = self.contents[block]
        assert content is not None, "a known block holds something"
        is_same = content.tokens == piece and content.before is before
        return block if is_same else None
