"""A learner talks to a model in a notebook: thought folded, words as they were said."""

import pytest

from sparrow import Sparrow, checkpoints
from sparrow.errors import PromptError
from sparrow.talk import Conversation
from sparrow.text import Tokenizer
from sparrow.viz.chat import ChatBox, Exchange


class Scripted:
    """A conversation that says what it was given."""

    def __init__(self, pieces):
        self.pieces, self.last_tokens = pieces, 0

    def ask(self, question):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            self.last_tokens += 1
            yield piece


def answered(talk, question="8?"):
    box = ChatBox(talk, example=question)
    box.ask.click()
    box.thread.join(timeout=60)
    assert not box.thread.is_alive()
    assert not box.ask.disabled
    return box


def test_the_thought_is_folded_and_the_answer_is_shown():
    box = answered(Scripted(["<th", "ink>why</think>", "<answer>so</answer>"]))
    assert (box.exchanges[0].reasoning, box.exchanges[0].content) == ("why", "so")
    assert "<details><summary>Thought" in box.shown.value
    assert "3 tokens" in box.shown.value


def test_what_is_said_is_never_markup():
    shown = Exchange(question="<script>", content="<img src=x>", reasoning="<b>").html()
    for tag in ("<script>", "<img", "<b>"):
        assert tag not in shown


def test_a_conversation_that_is_too_long_says_so():
    box = answered(Scripted(["a", PromptError("begin a new one")]))
    assert "begin a new one" in box.shown.value


def test_the_button_stops():
    talk = Scripted([])
    talk.ask = lambda question: iter(lambda: "x", None)
    box = ChatBox(talk, example="forever?")
    box.ask.click()
    box.stop.click()
    box.thread.join(timeout=10)
    assert not box.thread.is_alive()
    assert "stopped" in box.shown.value


@pytest.mark.parametrize("question", ["", "   "])
def test_nothing_is_asked_without_a_question(question):
    box = ChatBox(Scripted(["a"]), example=question)
    box.ask.click()
    assert box.thread is None


def test_a_real_model_answers_in_the_box():
    folder = checkpoints.find("pico-r1")
    talk = Conversation(
        Sparrow.from_pretrained(folder), Tokenizer(folder), max_new_tokens=60
    )
    box = answered(talk, "numbers 8 2 6 target 24")
    assert box.exchanges[0].reasoning
    assert "tokens/s" in box.shown.value
