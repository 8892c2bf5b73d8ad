"""Byte-level BPE, written to be read: join the two pieces that meet most often, again.

`sparrow.text.learn` does the same with the `tokenizers` library, faster; a test binds
the two. Everything here works on bytes, so that any file at all can be encoded.
"""

import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.text.chat import SPECIAL, VISIBLE

__all__ = [
    "BYTE_ORDER",
    "FIRST_BYTE",
    "SMALLEST",
    "Vocabulary",
    "alphabet",
    "check_room",
    "count_pairs",
    "count_words",
    "decode",
    "encode",
    "encode_long",
    "encode_word",
    "join",
    "join_everywhere",
    "split",
    "to_ids",
    "train",
]

Pair = tuple[int, int]
FIRST_BYTE = len(SPECIAL) + len(VISIBLE)  # ids below are special tokens
SMALLEST = FIRST_BYTE + 256  # tokens of a vocabulary without any joins
LONG = 400  # pieces; a longer word is encoded with a heap
# `sparrow.text.learn.PATTERN`, on bytes: all bytes of a character beyond ASCII are
# above 127, and count as letters.
WORD = re.compile(
    rb" ?[A-Za-z\x80-\xff]+|[0-9]{1,3}|[^A-Za-z0-9\x80-\xff \t\r\n]|[ \t\r\n]+"
)
# The order in which byte-level BPE numbers the bytes: those that Latin-1 prints, then
# the others (Radford et al. 2019, GPT-2's table of printable stand-ins).
_PRINTED = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTE_ORDER = bytes([*_PRINTED, *(b for b in range(256) if b not in set(_PRINTED))])
_ID_OF_BYTE = {byte: FIRST_BYTE + place for place, byte in enumerate(BYTE_ORDER)}


@dataclass
class Vocabulary:
    """Which pairs are joined, in which order, and the bytes that each token stands for.

    `merges` maps a pair of ids to the id of the joined token; its order is the order
    of learning. `tokens` maps an id to its bytes.
    """

    merges: dict[Pair, int] = field(default_factory=dict)
    tokens: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Tokens in all, the special ones included."""
        return FIRST_BYTE + len(self.tokens)


def alphabet() -> dict[int, bytes]:
    """The 256 tokens that everything begins with: one for each byte."""
    return {_ID_OF_BYTE[byte]: bytes([byte]) for byte in range(256)}


def split(data: bytes) -> list[bytes]:
    """Cut text into words, which no token may reach across; nothing is lost."""
    return WORD.findall(data)


def to_ids(word: bytes) -> tuple[int, ...]:
    """One id for each byte."""
    return tuple(_ID_OF_BYTE[byte] for byte in word)


def count_words(data: bytes) -> Counter[tuple[int, ...]]:
    """How often each different word occurs, as the ids of its bytes."""
    return Counter(to_ids(word) for word in split(data))


def count_pairs(words: Mapping[tuple[int, ...], int]) -> Counter[Pair]:
    """How often each two ids stand side by side.

    Args:
        words: the ids of each different word, and how often the word occurs.
    """
    # 1. Begin with no counts.
    counts: Counter[Pair] = Counter()
    for word, times in words.items():
        # 2. Each neighbour pair of a word counts as often as the word.
        for pair in pairwise(word):
            counts[pair] += times
    return counts


def join(word: Sequence[int], pair: Pair, new: int) -> tuple[int, ...]:
    """Put one id in the place of each occurrence of a pair, from left to right."""
    joined: list[int] = []
    place = 0
    while place < len(word):
        # 1. The pair stands here: write the new id, and step over both.
        if tuple(word[place : place + 2]) == pair:
            joined.append(new)
            place += 2
        # 2. Otherwise copy one id.
        else:
            joined.append(word[place])
            place += 1
    return tuple(joined)


def join_everywhere(
    words: Mapping[tuple[int, ...], int], pair: Pair, new: int
) -> Counter[tuple[int, ...]]:
    """Join a pair in every word; how often each word occurs does not change."""
    joined: Counter[tuple[int, ...]] = Counter()
    for word, times in words.items():
        joined[join(word, pair, new)] += times
    return joined


def train(data: bytes, vocab_size: int) -> Vocabulary:
    """Learn which pairs deserve a token of their own.

    Args:
        data: the text to learn from.
        vocab_size: tokens at most, the special ones and the 256 bytes included.

    Raises:
        ConfigError: `vocab_size` has no room for the bytes.

    Source: Sennrich et al., arXiv:1508.07909, algorithm 1.
    """
    check_room(vocab_size)
    # 1. Begin with one token for each byte, and with the words of the text.
    vocabulary = Vocabulary(tokens=alphabet())
    words = count_words(data)
    while vocabulary.size < vocab_size:
        # 2. Find the most frequent pair; of equals, the one with the smaller ids.
        counts = count_pairs(words)
        if not counts:
            break
        pair = min(counts, key=lambda each: (-counts[each], each))
        # 3. Name it: the next free id, and the bytes of both.
        new = vocabulary.size
        vocabulary.merges[pair] = new
        vocabulary.tokens[new] = vocabulary.tokens[pair[0]] + vocabulary.tokens[pair[1]]
        # 4. Join it everywhere.
        words = join_everywhere(words, pair, new)
    return vocabulary


def encode_word(word: Sequence[int], merges: Mapping[Pair, int]) -> list[int]:
    """Join the pairs of one word, those learned first before those learned later.

    Args:
        word: one id for each byte.
        merges: as in `Vocabulary`.
    """
    # 1. The rank of a pair: when it was learned.
    rank = {pair: place for place, pair in enumerate(merges)}
    ids = tuple(word)
    while len(ids) > 1:
        # 2. Of the pairs that are there, the one that was learned first.
        pairs = pairwise(ids)
        first = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
        if first not in merges:
            break
        # 3. Join it everywhere in the word.
        ids = join(ids, first, merges[first])
    return list(ids)


def encode(data: bytes, vocabulary: Vocabulary) -> list[int]:
    """The ids of a text: word by word. Special tokens are not looked for."""
    seen: dict[bytes, list[int]] = {}
    ids: list[int] = []
    for word in split(data):
        if word not in seen:
            way = encode_long if len(word) > LONG else encode_word
            seen[word] = way(to_ids(word), vocabulary.merges)
        ids += seen[word]
    return ids


def decode(ids: Sequence[int], vocabulary: Vocabulary) -> bytes:
    """The bytes that these tokens stand for.

    Raises:
        KeyError: an id that is no token, or a special one.
    """
    return b"".join(vocabulary.tokens[each] for each in ids)


def encode_long(word: Sequence[int], merges: Mapping[Pair, int]) -> list[int]:
    """The same as `encode_word` for very long words, in n log n steps instead of n².

    A heap holds the pairs that can be joined, by rank and then by place; a place knows
    its neighbours, so that joining two does not move the others.
    """
    rank = {pair: place for place, pair in enumerate(merges)}
    ids: list[int | None] = list(word)
    left = list(range(-1, len(word) - 1))
    right = [*range(1, len(word)), -1]
    heap: list[tuple[int, int, Pair]] = []

    def offer(place: int) -> None:
        """Put the pair that begins at this place on the heap, if it can be joined."""
        first, after = ids[place], right[place]
        if first is None or after < 0:
            return
        second = ids[after]
        assert second is not None, "neighbours are always there"
        pair = (first, second)
        if pair in rank:
            heapq.heappush(heap, (rank[pair], place, pair))

    for place in range(len(word)):
        offer(place)
    while heap:
        _rank, place, pair = heapq.heappop(heap)
        after = right[place]
        if ids[place] != pair[0] or after < 0 or ids[after] != pair[1]:
            continue  # one of the two was joined with another neighbour meanwhile
        ids[place], ids[after] = merges[pair], None
        right[place] = right[after]
        if right[after] >= 0:
            left[right[after]] = place
        offer(place)
        if left[place] >= 0:
            offer(left[place])
    return [each for each in ids if each is not None]


def check_room(vocab_size: int) -> None:
    """Refuse a size that has no room for the 256 bytes.

    Raises:
        ConfigError: it has not.
    """
    if vocab_size < SMALLEST:
        raise ConfigError(
            _(
                "vocab_size must be at least {least}: 256 bytes and {special} special "
                "tokens; got {got}.",
                least=SMALLEST,
                special=FIRST_BYTE,
                got=vocab_size,
            )
        )
