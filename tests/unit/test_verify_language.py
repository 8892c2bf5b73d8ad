"""How much of a thought is in the language that was asked for."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparrow.errors import UsageError
from sparrow.text.cldr import LANGUAGES, read
from sparrow.text.passages import SENTENCES
from sparrow.verify.language import SCRIPTS, consistency


@pytest.mark.parametrize("language", SENTENCES)
def test_a_passage_is_in_the_script_of_its_language(language):
    assert consistency(" ".join(SENTENCES[language]), language) == 1.0


@pytest.mark.parametrize("language", SCRIPTS)
def test_english_is_foreign_where_another_script_is_written(language):
    assert consistency("I try another way", language) == 0.0


@pytest.mark.parametrize("language", sorted(set(SCRIPTS) & set(SENTENCES)))
def test_another_script_is_foreign_where_english_is_asked_for(language):
    assert consistency(" ".join(SENTENCES[language]), "en") == 0.0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_names_that_a_language_gives_are_in_its_script(language):
    names = " ".join(read(language).values())
    # some names hold a word of another script, such as a country's initials
    assert consistency(names, language) > 0.8


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("I try 另一种 way", "en", 3 / 4),
        ("我 try 另一种", "zh", 2 / 3),
        ("ラーメン", "ja", 1.0),  # the long vowel's mark is named after two scripts
        ("人々が いる", "ja", 1.0),
        ("ʼyanci", "ha", 1.0),  # so is an apostrophe that is a letter
        ("français œuvre ÎLE", "fr", 1.0),
        ("naïve", "en", 1.0),  # decomposed: a mark follows its letter
        ("попытка 3*7=21", "ru", 1.0),
        ("x", "zh", 0.0),
    ],
)
def test_a_word_counts_if_all_its_letters_are_of_the_script(text, language, share):
    assert consistency(text, language) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["", "3*7=21,21+8=29", "<think>3</think><answer>3</answer><|end|>", "—!?"]
)
def test_where_there_are_no_words_nothing_is_foreign(text):
    assert consistency(text, "am") == 1.0


def test_a_language_that_is_not_known_is_named():
    with pytest.raises(UsageError, match="language must be one of .*; got 'xx'"):
        consistency("word", "xx")


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
@settings(deadline=None)
def test_any_text_has_a_share_between_0_and_1(text, language):
    assert 0.0 <= consistency(text, language) <= 1.0


def test_a_megabyte_takes_no_longer_than_what_is_read_of_it():
    started = time.perf_counter()
    assert consistency("<" * 1_000_000, "en") == 1.0
    assert consistency("字a" * 1_000_000, "zh") == 0.0
    assert time.perf_counter() - started < 1.0
