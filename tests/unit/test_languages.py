"""The same text in many languages, and what a tokenizer charges for each."""

import random
import sys
import time

import pytest

from sparrow.errors import UsageError
from sparrow.text import languages
from sparrow.text.languages import LANGUAGES, PASSAGES

OWN_SCRIPT = {"ar", "zh", "hi", "am", "ru", "th", "my", "ko"}


def test_english_comes_first_and_every_passage_is_in_a_known_language():
    assert next(iter(LANGUAGES)) == "en"
    assert PASSAGES[0] == "en"
    assert set(PASSAGES) <= set(LANGUAGES)


@pytest.mark.parametrize(
    ("code", "wednesday", "germany"),
    [
        ("fr", "mercredi", "Allemagne"),
        ("de", "Mittwoch", "Deutschland"),
        ("sw", "Jumatano", "Ujerumani"),
        ("zh", "星期三", "德国"),
    ],
)
def test_names_are_aligned(code, wednesday, germany):
    row = dict(zip(languages.names("en"), languages.names(code), strict=True))
    assert row["Wednesday"] == wednesday
    assert row["Germany"] == germany


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_hundreds_of_names_and_none_is_the_english_word(code):
    english, theirs = languages.names("en"), languages.names(code)
    assert len(theirs) == len(english) > 300
    pairs = zip(english, theirs, strict=True)
    assert all(one.casefold() != other.casefold() for one, other in pairs)
    assert all(name.strip() for name in theirs)


@pytest.mark.parametrize("code", sorted(OWN_SCRIPT))
def test_names_are_in_the_script_of_the_language(code):
    theirs = languages.names(code)
    assert sum(not name.isascii() for name in theirs) > 0.95 * len(theirs)


def test_no_language_takes_the_names_of_another():
    # Spanish and Portuguese share some; Babel 2.18 can mix up all months and days.
    for code in LANGUAGES:
        for other in LANGUAGES:
            theirs = set(languages.names(other)) if other != code else set()
            same = theirs & set(languages.names(code))
            assert len(same) < 0.3 * len(languages.names(code)), (code, other)
    days = ("Monday", "Wednesday", "Friday")
    places = [languages.names("en").index(day) for day in days]
    told = [tuple(languages.names(code)[i] for i in places) for code in LANGUAGES]
    assert len(set(told)) == len(LANGUAGES)


def test_nothing_is_named_twice_in_english():
    english = [name.casefold() for name in languages.names("en")]
    assert len(english) == len(set(english))


def test_halves_hold_every_name_once_and_the_same_things_in_every_language():
    learn, measure = languages.half_split("en")
    assert sorted(learn + measure) == sorted(languages.names("en"))
    assert not set(learn) & set(measure)
    assert 0.4 < len(learn) / (len(learn) + len(measure)) < 0.6
    row = dict(zip(languages.names("en"), languages.names("am"), strict=True))
    assert languages.half_split("am") == (
        [row[name] for name in learn],
        [row[name] for name in measure],
    )


def test_every_passage_has_the_same_number_of_sentences():
    assert {len(languages.sentences(code)) for code in PASSAGES} == {5}
    for code in PASSAGES:
        assert all(each[-1] in ".。।" for each in languages.sentences(code))


def test_a_passage_is_its_sentences_and_chinese_has_no_spaces():
    assert languages.passage("en").startswith("Every morning")
    assert languages.passage("en").count(". ") == 4
    assert " " not in languages.passage("zh")


def test_a_language_against_itself_pays_exactly_once():
    for ratio in (
        languages.tax(languages.utf8_bytes, "sw", against="sw"),
        languages.sentence_tax(languages.utf8_bytes, "en"),
    ):
        assert (ratio.estimate, ratio.low, ratio.high) == (1.0, 1.0, 1.0)


def test_a_ratio_of_sums_not_a_mean_of_ratios():
    english, french = languages.names("en"), languages.names("fr")
    wanted = len("".join(french).encode()) / len("".join(english).encode())
    ratio = languages.tax(languages.utf8_bytes, "fr")
    assert ratio.estimate == pytest.approx(wanted)
    assert ratio.low < ratio.estimate < ratio.high
    assert ratio.n == len(english)


def planted(truth: float, seed: int) -> languages.Encode:
    """English takes 10 to 30 tokens; French around `truth` times as many."""
    draw = random.Random(seed)
    lengths = {}
    pairs = zip(languages.names("en"), languages.names("fr"), strict=True)
    for english, french in pairs:
        tokens = draw.randint(10, 30)
        lengths[english] = tokens
        # Rounding up as often as down keeps the planted ratio true on average.
        lengths[french] = int(tokens * truth * draw.uniform(0.5, 1.5) + draw.random())
    return lambda text: [0] * lengths[text]


def test_the_interval_covers_a_planted_ratio_about_as_often_as_it_says():
    covered, rounds = 0, 40
    for seed in range(rounds):
        ratio = languages.tax(planted(2.5, seed), "fr", seed=seed)
        covered += ratio.low <= 2.5 <= ratio.high
    assert covered >= 34  # of 40, when 38 are expected
    assert ratio.high - ratio.low < 0.5  # a bound that says nothing covers all


def test_more_confidence_needs_a_wider_interval():
    narrow = languages.tax(languages.utf8_bytes, "hi", confidence=0.5)
    wide = languages.tax(languages.utf8_bytes, "hi", confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_same_seed_gives_the_same_interval():
    first, again, other = (
        languages.tax(languages.utf8_bytes, "hi", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_held_out_counts_only_the_second_half():
    learn, measure = languages.half_split("en")
    seen: list[str] = []

    def encode(text: str) -> list[int]:
        seen.append(text)
        return [0]

    ratio = languages.tax(encode, "am", held_out=True)
    assert ratio.n == len(measure)
    assert not set(seen) & set(learn)


def test_bytes_alone_charge_scripts_by_their_letters():
    assert languages.bytes_per_token(languages.utf8_bytes, "hi") == 1.0
    assert languages.bytes_per_token(str.split, "hi") > 5
    assert languages.bytes_per_item("hi") > 2 * languages.bytes_per_item("en")


def test_the_interval_takes_well_under_a_second():
    languages.tax(languages.utf8_bytes, "fr")  # opens the names
    began = time.perf_counter()
    languages.tax(languages.utf8_bytes, "sw")
    assert time.perf_counter() - began < 2  # 0.05 s alone; machines are shared


@pytest.mark.parametrize(
    "call",
    [
        lambda: languages.names("xx"),
        lambda: languages.passage("yo"),
        lambda: languages.tax(languages.utf8_bytes, "fr", confidence=95),
        lambda: languages.tax(lambda _text: [], "fr"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call):
    with pytest.raises(UsageError):
        call()


def test_importing_opens_neither_babel_nor_torch():
    import subprocess

    code = (
        "import sys, sparrow.text.languages; "
        "print({'babel', 'torch'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.strip() == "set()"
