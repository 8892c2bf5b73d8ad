"""Our BPE joins what `tokenizers` joins, and numbers it in the same way."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Fast
from tokenizers import models, pre_tokenizers, trainers

from sparrow.errors import ConfigError
from sparrow.text import bpe
from sparrow.text.chat import SPECIAL, VISIBLE
from sparrow.text.learn import learn_tokenizer

PLANES = "".join(chr(plane << 16 | 0x0042 + plane) for plane in range(17))
ENGLISH = (
    "The sparrow is small, but it has every organ. It eats 12 seeds, then 345 more.\n"
    "12+7=19\n56-19=37\n7*8=56\n"
) * 30
MIXED = (
    ENGLISH
    + "麻雀虽小,五脏俱全。 Shomoro ni mdogo. Le moineau est petit: déjà vu ! 😀" * 9
)
TEXTS = [MIXED, "aaaaaaaaaa aaaa aaa" * 20, "\x00\x01\x7f tabs\t\t\r\n" * 9, PLANES * 3]

# the characters that stand for bytes inside `tokenizers`
CHARACTER = dict(
    zip(
        bpe.BYTE_ORDER,
        sorted(pre_tokenizers.ByteLevel.alphabet()),
        strict=True,
    )
)


def as_characters(data: bytes) -> str:
    return "".join(CHARACTER[byte] for byte in data)


def theirs(data: bytes, vocab_size: int) -> Fast:
    """Trained on the words of any bytes, by way of their stand-ins."""
    fast = Fast(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL, *VISIBLE],
        initial_alphabet=list(CHARACTER.values()),
        show_progress=False,
    )
    fast.train_from_iterator(map(as_characters, bpe.split(data)), trainer)
    return fast


def same_as_theirs(data: bytes, vocab_size: int) -> None:
    ours, fast = bpe.train(data, vocab_size), theirs(data, vocab_size)
    told = {as_characters(token): number for number, token in ours.tokens.items()}
    assert told == {
        token: number
        for token, number in fast.get_vocab().items()
        if number >= bpe.FIRST_BYTE
    }
    for word in set(bpe.split(data)):
        assert bpe.encode(word, ours) == fast.encode(as_characters(word)).ids
    assert bpe.decode(bpe.encode(data, ours), ours) == data


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("vocab_size", [263, 300, 420])
def test_merges_and_ids_are_those_of_tokenizers(text: str, vocab_size: int) -> None:
    ours = bpe.train(text.encode(), vocab_size)
    fast = learn_tokenizer([text], vocab_size)
    assert bpe.encode(text.encode(), ours) == fast.encode(text)
    for other in TEXTS:
        assert bpe.encode(other.encode(), ours) == fast.encode(other)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_the_same_and_come_back(data: bytes) -> None:
    same_as_theirs(data, 263 + 30)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab a1\n", max_size=120))
def test_ties_are_broken_in_the_same_way(text: str) -> None:
    same_as_theirs(text.encode(), 263 + 12)


def test_lone_surrogates_and_broken_characters_are_bytes_like_others() -> None:
    surrogates = "\ud800x\udfff".encode("utf-8", "surrogatepass")
    same_as_theirs((surrogates + b"\xff\xfe\xc3 \x80") * 8, 300)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="abc ", max_size=300))
def test_every_token_is_spelled_in_one_way(text: str) -> None:
    # `tokenizers` would let two pairs share a token; equal bytes always join alike
    ours = bpe.train(text.encode(), 263 + 40)
    assert len(set(ours.tokens.values())) == len(ours.tokens)
    assert len(ours.merges) == len(ours.tokens) - 256


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abc", max_size=200))
def test_the_way_for_long_words_is_the_plain_way(word: str) -> None:
    merges = bpe.train(b"abcab" * 9 + b" aab bba cac" * 7, 263 + 15).merges
    ids = bpe.to_ids(word.encode())
    assert bpe.encode_long(ids, merges) == bpe.encode_word(ids, merges)


def test_a_line_of_a_megabyte_is_encoded_as_theirs() -> None:
    draw = random.Random(0)
    line = "".join(draw.choices("麻雀虽小五脏俱全abcdefgh", k=600_000))
    data = line.encode()
    assert len(data) > 1_000_000
    ours = bpe.train(data[:30_000], 300)
    ids = bpe.encode(data, ours)
    assert bpe.decode(ids, ours) == data
    assert ids == theirs(data[:30_000], 300).encode(as_characters(data)).ids


def test_the_pattern_cuts_text_and_bytes_at_the_same_places() -> None:
    fast = learn_tokenizer([MIXED], 263)
    cut = fast._fast.pre_tokenizer.pre_tokenize_str(MIXED + PLANES)
    words = [as_characters(word) for word in bpe.split((MIXED + PLANES).encode())]
    assert [word for word, _place in cut] == words


def test_no_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 263"):
        bpe.train(b"abc", 262)


def test_an_empty_text_has_the_bytes_alone() -> None:
    assert bpe.train(b"", 500).size == 263
    assert bpe.encode(b"", bpe.train(b"", 500)) == []


@pytest.mark.slow
def test_the_whole_corpus_gives_the_same_vocabulary() -> None:
    """Half a megabyte of facts, puzzles and prose, and 1,024 tokens."""
    from sparrow.data import corpus

    text = "\n".join(corpus.build("pico", size=500_000).train)
    ours = bpe.train(text.encode(), 1024)
    fast = learn_tokenizer([text], 1024)
    assert len(ours.merges) == 1024 - 263
    assert bpe.encode(text.encode(), ours) == fast.encode(text)
