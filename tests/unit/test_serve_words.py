"""Words come as they are written, and nothing is shown that must be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparrow.serve.choice import Choice, Piece
from sparrow.serve.engine import Output
from sparrow.serve.words import Part, Spelling, Stops, Thought
from tests.unit import parrot

TOKENIZER = parrot.tokenizer()
BYTES_OF_A_BIRD = "🐦"  # four bytes, four tokens


def spelled(tokens):
    spelling = Spelling(TOKENIZER)
    return [*map(spelling.add, tokens), spelling.end()]


def read(pieces, thought):
    parts = [*map(thought.add, pieces), thought.end()]
    return Part(
        "".join(each.reasoning for each in parts),
        "".join(each.content for each in parts),
    )


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=40))
def test_pieces_of_any_tokens_make_the_whole_text(tokens):
    assert "".join(spelled(tokens)) == TOKENIZER.decode(tokens)


@given(st.text(max_size=30))
def test_no_piece_of_a_text_shows_half_a_character(text):
    tokens = TOKENIZER.encode(text)
    pieces = spelled(tokens)
    assert "".join(pieces) == TOKENIZER.decode(tokens)
    if "\ufffd" not in text:
        assert not any("\ufffd" in each for each in pieces)


def test_a_character_of_several_tokens_waits_for_its_last():
    tokens = TOKENIZER.encode(BYTES_OF_A_BIRD)
    assert len(tokens) > 1
    assert spelled(tokens)[:-1] == [""] * (len(tokens) - 1) + [BYTES_OF_A_BIRD]
    assert spelled(tokens[:-1])[-1] == "\ufffd"  # it never came


@given(st.lists(st.sampled_from(["a", "b", "ab", "ba", "x"]), max_size=20))
def test_stops_cut_where_the_whole_text_would_be_cut(pieces):
    text, stops = "".join(pieces), ("bab", "abx")
    found = [at for each in stops if (at := text.find(each)) >= 0]
    finder = Stops(stops)
    shown = "".join([*map(finder.add, pieces), finder.end()])
    assert shown == (text[: min(found)] if found else text)
    assert finder.found == bool(found)


def test_what_may_begin_a_stop_is_held_back_and_shown_if_it_does_not():
    finder = Stops(["STOP"])
    assert [finder.add(each) for each in ("a", "ST", "E", "ST", "OPz", "y")] == [
        *("a", "", "STE", "", "", "")
    ]
    assert finder.found


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("<think>why</think>so", "why", "so"),
        ("\n <think>why</think>\n\nso", "why", "so"),
        ("<think>why</think><answer>so</answer>", "why", "so"),
        ("<think>cut off", "cut off", ""),
        ("no thought <think>here</think>", "", "no thought <think>here</think>"),
        ("<thin", "", "<thin"),
        ("<think>a < b</thinking</think>c</", "a < b</thinking", "c</"),
        ("", "", ""),
        ("  spaces", "", "  spaces"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_thought_is_kept_apart_however_it_is_cut(text, reasoning, content, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert read(pieces, Thought()) == Part(reasoning, content)


def test_a_thought_that_the_prompt_opened_needs_no_tag():
    assert read(["why</th", "ink>so"], Thought(is_open=True)) == Part("why", "so")


def output(tokens, finished=None):
    return Output(
        request=0,
        tokens=tokens,
        logprobs=[-1.0] * len(tokens),
        top=[[(token, -1.0)] for token in tokens],
        finished=finished,
    )


def test_an_answer_knows_what_was_thought_and_what_was_said():
    tokens = TOKENIZER.encode("<think>8+2=10</think><answer>8+2</answer>")
    thought = tokens.index(TOKENIZER.token_id("</think>")) + 1
    choice, piece = Choice(TOKENIZER, thought=Thought(), with_logprobs=True), Piece()
    choice.add(output([*tokens, parrot.END], "stop"), piece)
    assert (piece.reasoning, piece.content) == ("8+2=10", "8+2")
    assert (choice.tokens, choice.reasoning_tokens) == (len(tokens) + 1, thought)
    # The end is no text, so it has no place among the tokens that are shown.
    assert len(piece.reasoning_tokens) == thought
    assert len(piece.content_tokens) == len(tokens) - thought
    assert choice.finished == "stop"


def test_an_answer_ends_at_a_stop_in_the_middle_of_a_step():
    choice, piece = Choice(TOKENIZER, stops=["="]), Piece()
    choice.add(output(TOKENIZER.encode("8+2=10")), piece)
    assert (piece.content, choice.finished) == ("8+2", "stop")


def test_an_answer_that_is_cut_shows_what_was_held_back():
    choice, piece = Choice(TOKENIZER, stops=["8+9"]), Piece()
    choice.add(output(TOKENIZER.encode("8+"), "length"), piece)
    assert (piece.content, choice.finished) == ("8+", "length")
