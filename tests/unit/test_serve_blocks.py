"""Blocks are lent by count, found again by content, and never by hash alone."""

import pytest

from sparrow.errors import CacheFull
from sparrow.serve import blocks
from sparrow.serve.blocks import BlockPool, content_hash

TEXT = list(range(100, 112))  # three blocks of four


def keep(pool: BlockPool, tokens: list[int]) -> list[int]:
    """Compute all full blocks of a text, as a request does."""
    found = pool.longest_prefix(tokens)
    pool.share(found)
    lent = found + pool.allocate(len(tokens) // pool.block_size - len(found))
    before = None
    for place, block in enumerate(lent):
        piece = tokens[place * pool.block_size : (place + 1) * pool.block_size]
        before = pool.remember(block, before, piece)
    return lent


def test_a_block_is_free_when_its_last_reader_has_left():
    pool = BlockPool(4, 4)
    lent = pool.allocate(3)
    assert len(set(lent)) == 3
    assert (pool.used_blocks, pool.free_blocks) == (3, 1)
    pool.share(lent[:1])
    pool.free(lent)
    assert pool.used_blocks == 1
    pool.free(lent[:1])
    assert (pool.used_blocks, pool.free_blocks) == (0, 4)


def test_more_than_is_free_is_refused_and_nothing_is_lent():
    pool = BlockPool(4, 4)
    pool.allocate(2)
    with pytest.raises(CacheFull, match="3 blocks of the cache are needed and 2 are"):
        pool.allocate(3)
    assert pool.free_blocks == 2


def test_giving_back_twice_is_impossible():
    pool = BlockPool(2, 4)
    lent = pool.allocate(1)
    pool.free(lent)
    with pytest.raises(AssertionError):
        pool.free(lent)


def test_the_hash_depends_on_order_and_on_what_came_before():
    assert content_hash(0, [1, 2]) == content_hash(0, [1, 2])
    assert content_hash(0, [1, 2]) != content_hash(0, [2, 1])
    assert content_hash(0, [1, 2]) != content_hash(7, [1, 2])


def test_a_text_is_found_as_far_as_it_is_the_same():
    pool = BlockPool(8, 4)
    lent = keep(pool, TEXT)
    assert pool.longest_prefix(TEXT) == lent
    assert pool.longest_prefix(TEXT[:11]) == lent[:2]
    assert pool.longest_prefix([*TEXT[:6], 0, 0, *TEXT[8:]]) == lent[:1]
    assert pool.longest_prefix([0, *TEXT[1:]]) == []
    # The same four tokens behind nothing are another text.
    assert pool.longest_prefix(TEXT[4:8]) == []


def test_a_free_block_is_found_until_its_room_is_needed():
    pool = BlockPool(4, 4)
    lent = keep(pool, TEXT)
    pool.free(lent)
    assert pool.longest_prefix(TEXT) == lent
    # The block that was never used goes first, then the end of the text.
    pool.allocate(2)
    assert pool.longest_prefix(TEXT) == lent[:2]
    assert pool.cached_blocks == 2


def test_the_same_text_computed_twice_is_kept_once():
    pool = BlockPool(8, 4)
    first, second = pool.allocate(2), pool.allocate(2)
    for lent in (first, second):
        content = pool.remember(lent[0], None, TEXT[:4])
        pool.remember(lent[1], content, TEXT[4:8])
    assert pool.longest_prefix(TEXT) == first
    assert pool.cached_blocks == 2


def test_texts_with_one_hash_never_read_each_others_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "content_hash", lambda before, tokens: 7)
    pool = BlockPool(8, 4)
    lent = keep(pool, TEXT)
    assert pool.longest_prefix([1, 2, 3, 4]) == []
    assert pool.longest_prefix(TEXT) == lent[:1]
    other = keep(pool, [1, 2, 3, 4])
    assert not set(other) & set(lent)
    pool.free(lent + other)
    assert pool.used_blocks == 0


def test_a_block_is_not_found_behind_another_beginning_with_the_same_hash(monkeypatch):
    monkeypatch.setattr(blocks, "content_hash", lambda before, tokens: sum(tokens))
    pool = BlockPool(8, 2)
    keep(pool, [1, 2, 9, 9])
    pool.free(keep(pool, [2, 1, 9, 9]))
    assert pool.longest_prefix([2, 1, 9, 9]) == []


def test_without_a_prefix_cache_nothing_is_found():
    pool = BlockPool(8, 4, prefix_cache=False)
    pool.free(keep(pool, TEXT))
    assert pool.longest_prefix(TEXT) == []
    assert pool.cached_blocks == 0
