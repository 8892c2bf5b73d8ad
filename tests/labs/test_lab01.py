"""The checks of lab 01 refuse likely mistakes, and accept what is written otherwise."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from sparrow.checks import drivers, find
from sparrow.checks.lab01 import paid, trained, words
from sparrow.errors import CheckError, CheckpointError
from sparrow.text import bpe, claims
from tests.labs import harness
from tests.labs.harness import Mutant, patched

Function = Callable[..., Any]
PAIRS = "sparrow.text.bpe:count_pairs"
JOIN = "sparrow.text.bpe:join"
TRAIN = "sparrow.text.bpe:train"
WORD = "sparrow.text.bpe:encode_word"
BUILT = ("1.2", "1.3", "1.4", "1.5")


# ---- 1.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "3", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
    Mutant("yes", True, "one number of times"),
]
RIGHT_GUESSES = [1.25, 5]


# ---- 1.2: count neighbours ----

WRONG_COUNTS = [
    Mutant(
        "each word once",
        patched(PAIRS, "+= times", "+= 1"),
        "counts 7 times",
        earns=0.4,
    ),
    Mutant(
        "a pair once a word",
        patched(PAIRS, "pairwise(word)", "set(pairwise(word))"),
        "counts twice",
        earns=0.7,
    ),
    Mutant(
        "no order",
        patched(PAIRS, "counts[pair]", "counts[tuple(sorted(pair))]"),
        "order matters",
    ),
    Mutant(
        "any two ids",
        patched(
            PAIRS, "pairwise(word)", "__import__('itertools').combinations(word, 2)"
        ),
        "Only neighbours",
    ),
    Mutant(
        "in steps of two",
        patched(PAIRS, "pairwise(word)", "zip(word[::2], word[1::2])"),
        "overlap",
    ),
    Mutant(
        "without the last",
        patched(PAIRS, "pairwise(word)", "pairwise(word[:-1])"),
        "last pair",
    ),
    Mutant("overwrites", patched(PAIRS, "+= times", "= times"), "add to it"),
    Mutant(
        "across words",
        lambda words: Counter(pairwise([each for word in words for each in word])),
        "no pair",
    ),
    Mutant(
        "single ids",
        patched(PAIRS, "pairwise(word)", "word"),
        "no pair: each is a tuple",
        earns=0,
    ),
    Mutant("prints instead", lambda words: None, "return missing", earns=0),
    Mutant("a list", lambda words: [((1, 2), 3)], "no Counter", earns=0),
]


def count_by_places(words: Any) -> dict[tuple[int, int], int]:
    """A plain dictionary, place by place."""
    found: dict[tuple[int, int], int] = {}
    for word in words:
        for place in range(1, len(word)):
            pair = (word[place - 1], word[place])
            found[pair] = found.get(pair, 0) + words[word]
    return found


def count_by_sums(words: Any) -> Counter[tuple[int, int]]:
    """One Counter over repeated pairs."""
    return Counter(
        pair for word, times in words.items() for pair in list(pairwise(word)) * times
    )


# ---- 1.3: join ----


def join_from_the_right(word: Any, pair: Any, new: int) -> tuple[int, ...]:
    return bpe.join(word[::-1], pair[::-1], new)[::-1]


def join_the_first(word: Any, pair: Any, new: int) -> tuple[int, ...]:
    for place in range(len(word) - 1):
        if word[place : place + 2] == pair:
            return (*word[:place], new, *word[place + 2 :])
    return tuple(word)


WRONG_JOINS = [
    Mutant("from the right", join_from_the_right, "Begin at the left", earns=0.7),
    Mutant("the first only", join_the_first, "not only the first"),
    Mutant(
        "one step",
        patched(JOIN, "place += 2", "place += 1"),
        "step over both",
    ),
    Mutant(
        "no order",
        patched(
            JOIN,
            "tuple(word[place : place + 2]) == pair",
            "sorted(word[place : place + 2]) == sorted(pair)",
        ),
        "order matters",
    ),
    Mutant(
        "the end is lost",
        patched(JOIN, "place < len(word)", "place < len(word) - 1"),
        "last id is lost",
    ),
    Mutant(
        "a list and a tuple",
        patched(
            JOIN, "tuple(word[place : place + 2])", "list(word[place : place + 2])"
        ),
        "tuple with a tuple",
    ),
    Mutant(
        "a list", patched(JOIN, "tuple(joined)", "joined"), "Return a tuple", earns=0
    ),
    Mutant("prints instead", lambda word, pair, new: None, "return missing", earns=0),
    Mutant(
        "over the end",
        patched(
            JOIN,
            "tuple(word[place : place + 2]) == pair",
            "(word[place], word[place + 1]) == pair",
        ),
        "stopped in line",
    ),
]


def join_by_recursion(word: Any, pair: Any, new: int) -> tuple[int, ...]:
    """The first place, then the rest."""
    for place, both in enumerate(pairwise(word)):
        if both == pair:
            rest = join_by_recursion(word[place + 2 :], pair, new)
            return (*word[:place], new, *rest)
    return tuple(word)


def join_in_place(word: Any, pair: Any, new: int) -> tuple[int, ...]:
    """Replace slices of a list while walking over it."""
    ids, place = list(word), 0
    while place < len(ids) - 1:
        if ids[place] == pair[0] and ids[place + 1] == pair[1]:
            ids[place : place + 2] = [new]
        place += 1
    return tuple(ids)


# ---- 1.4: training ----

KEY = "(-counts[each], each)"


def library_vocabulary(learned: Any) -> bpe.Vocabulary:
    joins, tokens = learned
    return bpe.Vocabulary(
        {(one, two): new for one, two, new in joins},
        {int(number): spelled.encode("latin-1") for number, spelled in tokens.items()},
    )


def otherwise(**change: Any) -> Function:
    def train(data: bytes, vocab_size: int) -> bpe.Vocabulary:
        return library_vocabulary(
            trained.variant(data.decode("latin-1"), vocab_size, **change)
        )

    return train


WRONG_TRAINS = [
    Mutant(
        "the first of equals",
        patched(TRAIN, KEY, "-counts[each]"),
        "met first",
    ),
    Mutant(
        "the larger ids",
        patched(TRAIN, KEY, "(-counts[each], -each[0], -each[1])"),
        "larger ids",
    ),
    Mutant(
        "the rarest pair",
        patched(TRAIN, KEY, "(counts[each], each)"),
        "rarest",
    ),
    Mutant(
        "one too many",
        patched(TRAIN, "vocabulary.size < vocab_size", "vocabulary.size <= vocab_size"),
        "one token too many",
    ),
    Mutant(
        "one too few",
        patched(
            TRAIN, "vocabulary.size < vocab_size", "vocabulary.size < vocab_size - 1"
        ),
        "one token too few",
    ),
    Mutant(
        "each word once",
        patched(
            TRAIN, "count_words(data)", "Counter(dict.fromkeys(count_words(data), 1))"
        ),
        "as often as it occurs",
    ),
    Mutant("over words", otherwise(across=True), "over two words"),
    Mutant("once is not enough", otherwise(least=2), "occurs once"),
    Mutant("never counts again", otherwise(recount=False), "count again"),
    Mutant(
        "no end",
        patched(TRAIN, "if not counts:", "if False:"),
        "stopped in line",
        earns=0.8,
    ),
    Mutant(
        "no bytes kept",
        patched(
            TRAIN, "vocabulary.tokens[pair[0]] + vocabulary.tokens[pair[1]]", 'b"?"'
        ),
        "not `tokens`",
    ),
    Mutant(
        "no joins kept",
        patched(TRAIN, "vocabulary.merges[pair] = new", "pass"),
        "no joins",
    ),
    Mutant("prints instead", lambda data, vocab_size: None, "return missing", earns=0),
    Mutant("the joins alone", lambda data, vocab_size: {}, "Vocabulary", earns=0),
]


def train_by_sorting(data: bytes, vocab_size: int) -> bpe.Vocabulary:
    """Sort all pairs; own counting, and own dictionaries."""
    tokens = bpe.alphabet()
    merges: dict[tuple[int, int], int] = {}
    words = [(bpe.to_ids(word), n) for word, n in Counter(bpe.split(data)).items()]
    while 7 + len(tokens) < vocab_size:
        counts: Counter[tuple[int, int]] = Counter()
        for ids, n in words:
            for pair in pairwise(ids):
                counts[pair] += n
        if not counts:
            break
        pair = sorted(counts.items(), key=lambda item: (-item[1], *item[0]))[0][0]
        new = 7 + len(tokens)
        tokens[new] = tokens[pair[0]] + tokens[pair[1]]
        merges[pair] = new
        words = [(join_by_recursion(ids, pair, new), n) for ids, n in words]
    return bpe.Vocabulary(merges=merges, tokens=tokens)


# ---- 1.5: encode a word ----


def encode_longest(word: Any, merges: Any) -> list[int]:
    return words.longest(word, [[*pair, new] for pair, new in merges.items()])


WRONG_WORDS = [
    Mutant("the longest token", encode_longest, "longest token"),
    Mutant(
        "from left to right",
        patched(
            WORD,
            "rank.get(pair, len(rank))",
            "pair not in merges",
        ),
        "left to right",
    ),
    Mutant(
        "the last learned",
        patched(WORD, "rank.get(pair, len(rank))", "-rank.get(pair, -1)"),
        "learned last",
    ),
    Mutant(
        "the smallest id",
        patched(WORD, "rank.get(pair, len(rank))", "merges.get(pair, 10**9)"),
        "smallest new id",
    ),
    Mutant(
        "one round",
        patched(WORD, "while len(ids) > 1:", "for _once in range(len(ids) > 1):"),
        "go on until",
    ),
    Mutant(
        "strangers first",
        patched(WORD, "rank.get(pair, len(rank))", "rank.get(pair, -1)"),
    ),
    Mutant(
        "no rank", patched(WORD, "rank.get(pair, len(rank))", "rank[pair]"), earns=0
    ),
    Mutant("never joins", lambda word, merges: list(word), "Nothing was joined"),
    Mutant("prints instead", lambda word, merges: None, "return missing", earns=0),
    Mutant("no end", patched(WORD, "len(ids) > 1", "True"), "stopped in line"),
]


def encode_by_rules(word: Any, merges: Any) -> tuple[int, ...]:
    """Apply every rule in turn, again while something changes; a tuple is fine."""
    ids, before = tuple(word), None
    while ids != before:
        before = ids
        for pair, new in merges.items():
            if pair in set(pairwise(ids)):
                ids = bpe.join(ids, pair, new)
                break
    return ids


# ---- 1.6: the tax, counted again from the file ----


@pytest.fixture(scope="module")
def learned() -> bpe.Vocabulary:
    from sparrow.data import prose

    text = "\n".join(prose.documents(30_000, held_out=False))
    return bpe.train(text.encode(), 263 + 250)


def measured(
    folder: Any,
    vocabulary: bpe.Vocabulary,
    language: str = "sw",
    change: Function = dict,
) -> dict[str, str]:
    """What each group says of a file with this claim; right claims say nothing."""
    path = folder / claims.FILE
    claims.leave(path, vocabulary, language, {"ratio": 1.0, "low": 1.0, "high": 1.0})
    counts = counted(path)
    if len(counts) == 2:
        pairs = list(zip(*counts.values(), strict=True))
        ratio = sum(two for _one, two in pairs) / sum(one for one, _two in pairs)
        low, high = paid.drawn_again(pairs, seed=7)
        said = change({"ratio": ratio, "low": low, "high": high})
        claims.leave(path, vocabulary, language, said)
    return told(path.read_bytes())


def counted(path: Any) -> dict[str, list[int]]:
    found = drivers.drive(
        "tokens_left", None, {"artefact": as_tensor(path.read_bytes())}
    )
    assert isinstance(found, dict)
    return found["counts"]  # type: ignore[return-value]


def as_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def told(data: bytes) -> dict[str, str]:
    check = find("1.6")
    actual = drivers.drive("tokens_left", None, {"artefact": as_tensor(data)})
    return {
        case.group: check.compare(case, None, actual).message
        for case in check.cases(torch.Generator(), True)
    }


def test_an_honest_claim_passes_in_any_language(
    tmp_path: Any, learned: bpe.Vocabulary
) -> None:
    for language in ("sw", "hi", "am"):
        assert not any(measured(tmp_path, learned, language).values())


def half(said: dict[str, float]) -> float:
    return (said["high"] - said["low"]) / 2


LIES = {
    "turned round": (lambda s: {**s, "ratio": 1 / s["ratio"]}, "turn it round"),
    "how much more": (lambda s: {**s, "ratio": s["ratio"] - 1}, "how much more"),
    "percent": (lambda s: {**s, "ratio": 100 * s["ratio"]}, "in percent"),
    "another number": (lambda s: {**s, "ratio": 2.71}, "it is another"),
    "no interval": (lambda s: {**s, "low": None}, "low must be a number"),
    "text": (lambda s: {**s, "ratio": "1.3"}, "ratio must be a number"),
    "not a number": (lambda s: {**s, "high": math.nan}, "must be a number"),
    "too wide": (
        lambda s: {**s, "low": s["low"] - half(s), "high": s["high"] + half(s)},
        "too wide",
    ),
    "one standard error": (
        lambda s: {
            **s,
            "low": s["ratio"] - half(s) / 1.96,
            "high": s["ratio"] + half(s) / 1.96,
        },
        "too narrow",
    ),
    "upside down": (
        lambda s: {**s, "low": s["high"], "high": s["low"]},
        "larger than high",
    ),
    "elsewhere": (
        lambda s: {**s, "low": s["low"] + 1, "high": s["high"] + 1},
        "not in the interval",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_claim_is_refused_with_its_cause(
    lie: str, tmp_path: Any, learned: bpe.Vocabulary
) -> None:
    change, says = LIES[lie]
    said = " ".join(measured(tmp_path, learned, "sw", change).values())
    assert says in said


def test_a_mean_of_ratios_and_unpaired_names_are_named(
    tmp_path: Any, learned: bpe.Vocabulary
) -> None:
    measured(tmp_path, learned, "hi")
    english, hindi = counted(tmp_path / claims.FILE).values()
    each = [two / one for one, two in zip(english, hindi, strict=True)]
    mean = sum(each) / len(each)
    assert "Divide the sums" in paid.compare_ratio(english, hindi, mean).message
    draw, found = random.Random(3), []
    for _round in range(1000):
        above = draw.choices(hindi, k=len(hindi))
        found.append(sum(above) / sum(draw.choices(english, k=len(english))))
    found.sort()
    verdict = paid.compare_interval(english, hindi, found[25], found[974])
    assert "too wide" in verdict.message


@pytest.mark.parametrize("seed", range(12))
def test_a_thousand_draws_of_any_seed_are_enough(
    seed: int, tmp_path: Any, learned: bpe.Vocabulary
) -> None:
    measured(tmp_path, learned, "sw")
    english, swahili = counted(tmp_path / claims.FILE).values()
    pairs = list(zip(english, swahili, strict=True))
    draw = random.Random(seed)
    found = sorted(
        sum(two for _one, two in some) / sum(one for one, _two in some)
        for some in (draw.choices(pairs, k=len(pairs)) for _round in range(1000))
    )
    assert paid.compare_interval(english, swahili, found[25], found[974]).passed


def test_a_vocabulary_that_learned_nothing_earns_nothing(tmp_path: Any) -> None:
    said = measured(tmp_path, bpe.train(b"", 300))
    assert "0 joins" in said[paid.LEARNED]
    useless = bpe.train(bytes(random.Random(0).randbytes(9000)), 263 + 220)
    assert "shorten English" in measured(tmp_path, useless)[paid.LEARNED]


@pytest.mark.parametrize("language", ["en", "xx", "Swahili"])
def test_a_language_that_is_none_or_english_is_refused(
    language: str, tmp_path: Any, learned: bpe.Vocabulary
) -> None:
    said = measured(tmp_path, learned, language)
    assert "not English" in said[paid.RATIO]


DAMAGED = [
    b"",
    b"\xff\xfe",
    b"[]",
    b"[" * 100_000,
    b'{"joins": 3, "language": "sw", "said": {}}',
    b'{"joins": [[1, 2, 3]], "language": "sw", "said": {}}',
    b'{"joins": [[70, 71, 72]], "language": "sw", "said": {}}',
    b'{"joins": [["a", 71, 300]], "language": "sw", "said": {}}',
    b'{"joins": [[70, 71, 300], [70, 71, 301]], "language": "sw", "said": {}}',
    json.dumps(
        {
            "joins": [[70, 70, 300], *([n, n, n + 1] for n in range(300, 340))],
            "language": "sw",
            "said": {},
        }
    ).encode(),
]


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="is damaged"):
        claims.read(data)


def test_a_missing_file_says_which_cell_to_run() -> None:
    with pytest.raises(CheckError, match="run the cell that leaves it"):
        drivers.drive("tokens_left", None, {"artefact": None})


def test_what_is_left_is_read_back(tmp_path: Any, learned: bpe.Vocabulary) -> None:
    path = claims.leave(tmp_path / claims.FILE, learned, "zu", {"ratio": 2.0})
    back = claims.read(path.read_bytes())
    assert back.vocabulary == learned
    assert list(back.vocabulary.merges) == list(learned.merges)
    assert (back.language, back.said) == ("zu", {"ratio": 2.0})


EXERCISES = {
    "1.1": harness.Exercise(wrong=WRONG_GUESSES, right=RIGHT_GUESSES),
    "1.2": harness.Exercise(
        wrong=WRONG_COUNTS, right=[bpe.count_pairs, count_by_places, count_by_sums]
    ),
    "1.3": harness.Exercise(
        wrong=WRONG_JOINS, right=[bpe.join, join_by_recursion, join_in_place]
    ),
    "1.4": harness.Exercise(
        wrong=WRONG_TRAINS, right=[bpe.train, train_by_sorting, otherwise()]
    ),
    "1.5": harness.Exercise(
        wrong=WRONG_WORDS, right=[bpe.encode_word, bpe.encode_long, encode_by_rules]
    ),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab01

    assert {*EXERCISES, "1.6"} == set(lab01.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("pairwise(", "setdefault(", "lambda", "place +")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
