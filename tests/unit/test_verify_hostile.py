"""No text earns what it should not, raises, or takes long to judge."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparrow.text.chat import END
from sparrow.verify import Countdown, Score, score
from sparrow.verify.score import find_answer

PROBLEM = Countdown((3, 7, 8), 29)
RIGHT = "(3*7)+8"


def said(answer: str, thought: str = "3*7=21,21+8=29") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


# answers that must be refused: what is wrong with each is its name
HOSTILE = {
    "nothing": "",
    "spaces": "   ",
    "arabic digits": "(٣*٧)+٨",
    "devanagari digits": "(३*७)+८",
    "full width digits": "(３*７)+８",
    "superscript": "3²+7+8",
    "full width signs": "（3＊7）＋8",
    "a minus sign of print": "29−0",
    "copied from the prompt": PROBLEM.question,
    "the target itself": "29",
    "the target, hidden": "29+3-3",
    "a number twice": "3*7+8+3-3",
    "a number left out": "3*7",
    "a number made of two": "37-8",
    "two answers": "3*7+8,3*7+8",
    "two answers on lines": "3*7+8\n3*7+8",
    "a power": "9**9**9",
    "a power that grows": "9^9^9",
    "code": "__import__('os').system('true')",
    "a call": "int(3*7+8)",
    "an attribute": "(3).real*7+8",
    "a comment": "3*7+8#",
    "underscores": "3_0-7+8",
    "hexadecimal": "0x1d",
    "scientific": "29e0",
    "a decimal point": "3.0*7+8",
    "unary minus": "-3*7+8",
    "an integer division": "3*7//1+8",
    "minus signs": "-" * 1_000_000,
    "opening brackets": "(" * 1_000_000,
    "nested brackets": "(" * 90 + "3*7+8" + ")" * 90,
    "huge digits": "9" * 1_000_000,
    "many digits": "3*7+8" + "0" * 150,
    "division by zero": "3/(7-7)+8",
    "division by a zero that is hidden": "8/(7-3-4)",
    "a bracket too few": "((3*7)+8",
    "a bracket too many": "(3*7)+8)",
    "empty brackets": "()3*7+8",
    "two signs": "3*+7+8",
    "no sign": "3 7 8",
    "nul": "3*7+8\0",
    "a lone surrogate": "3*7+8\ud800",
    "a right-to-left mark": "\u202e8+7*3",
    "a space without width": "3*7\u200b+8",
    "tags inside": "<answer>3*7+8</answer>",
    "a thought inside": "<think>3*7+8</think>",
    "a chain with a wrong step": "3*7=29,29=29",
    "a chain that lies": "3*7=21,21+8=30",
    "a chain out of nothing": "20+9=29",
    "a chain that stops early": "3*7=21",
    "a chain that goes on": "3*7=21,21+8=29,29+0=29",
    "a chain of three numbers": "3*7+8=29",
    "a chain of signs": "=" * 100,
    "a chain of commas": "," * 100 + "=",
    "a chain without results": "3*7=,21+8=",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_answer_earns_nothing_and_says_why(answer):
    started = time.perf_counter()
    judged = PROBLEM.judge(answer)
    scored = score(PROBLEM, said(answer))
    assert time.perf_counter() - started < 1.0  # a thousand times what is needed
    assert (judged.legality, judged.correctness) == (False, 0.0)
    assert judged.why.endswith(".")
    assert len(judged.why) < 1000
    assert scored.reward == 0.0
    assert not scored.legality


@pytest.mark.parametrize(
    "completion",
    {
        "nothing": "",
        "no tags": RIGHT,
        "no thought": f"<answer>{RIGHT}</answer>",
        "a thought that does not end": f"<think><answer>{RIGHT}</answer>",
        "two answers": said(RIGHT) + f"<answer>{RIGHT}</answer>",
        "a wrong answer, then a right one": said("3+7+8") + said(RIGHT),
        "a right answer in the thought": said("3+7+8", f"<answer>{RIGHT}</answer>"),
        "an answer in an answer": f"<think></think><answer>{said(RIGHT)}</answer>",
        "tags inside tags": f"<think><think></think><answer>{RIGHT}</answer>",
        "crossed tags": f"<think><answer></think>{RIGHT}</answer>",
        "tags in the wrong order": f"<answer>{RIGHT}</answer><think></think>",
        "turned round": f"<think></think></answer>{RIGHT}<answer>",
        "words after": said(RIGHT) + " I hope so.",
        "words between": f"<think></think>so<answer>{RIGHT}</answer>",
        "a conversation after": said(RIGHT) + END + "<|user|>thank you",
        "capital tags": said(RIGHT).upper(),
        "a megabyte of tags": "<answer>" * 130_000,
        "a megabyte of thought": "<think>" + "-" * 1_000_000,
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_completion_with_broken_format_earns_nothing(completion):
    started = time.perf_counter()
    scored = score(PROBLEM, completion[1])
    assert time.perf_counter() - started < 1.0
    assert scored.reward == 0.0
    assert not scored.format
    assert scored.answer is None
    assert scored.why.endswith(".")


@pytest.mark.parametrize(
    "completion",
    [
        said(RIGHT),
        said(RIGHT).removeprefix("<think>"),  # the prompt may open the thought
        said(RIGHT) + END,
        f"  {said(RIGHT)} \n{END}\n",
        said(f" {RIGHT}\n"),
        said("3*7=21,21+8=29"),
        said("8 + 3 * 7"),
        said(RIGHT, ""),
        said(RIGHT, "9**9**9 -- <|user|> \0 ("),  # a thought is free
        said(RIGHT, "-" * 1_000_000),
    ],
)
def test_a_right_answer_in_its_place_earns_all(completion):
    scored = score(PROBLEM, completion)
    assert scored.reward == 1.0
    assert scored.format
    assert scored.legality
    assert scored.why == ""


def test_the_first_line_is_the_answer_of_a_base_model():
    assert score(PROBLEM, f" {RIGHT}\nnumbers 1 2", form="line").reward == 1.0
    assert score(PROBLEM, f"{RIGHT}{END}", form="line").reward == 1.0
    assert score(PROBLEM, f"3+7+8\n{RIGHT}\n", form="line").reward == 0.0
    cut = score(PROBLEM, RIGHT, form="line")
    assert (cut.format, cut.reward) == (False, 0.0)
    assert cut.why == "the answer's line does not end."


# Pieces of answers and of tags, so that random texts come near to what is right.
PIECES = st.one_of(
    st.sampled_from(
        ["<think>", "</think>", "<answer>", "</answer>", END, RIGHT, "3*7=21,21+8=29"]
    ),
    st.text(alphabet="0123456789+-*/()=, ", max_size=12),
    st.text(max_size=8),
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join))


@given(TEXTS, st.sampled_from(["tags", "line"]))
@settings(deadline=None, max_examples=300)
def test_any_text_gets_a_score_between_0_and_1(text, form):
    scored = score(PROBLEM, text, form=form)
    assert isinstance(scored, Score)
    assert 0.0 <= scored.reward <= 1.0
    assert scored.reward <= scored.legality <= scored.format
    assert (scored.answer is None) == (not scored.format)
    assert (scored.why == "") == (scored.reward == 1.0)


@given(st.text(alphabet="0123456789+-*/()=, \n", max_size=250))
@settings(deadline=None, max_examples=300)
def test_any_answer_is_judged(text):
    judged = PROBLEM.judge(text)
    assert judged.correctness in (0.0, 1.0)
    assert judged.correctness <= judged.legality


@given(TEXTS)
@settings(deadline=None, max_examples=200)
def test_an_answer_that_is_found_stands_in_the_completion_once(text):
    answer, why = find_answer(text)
    assert (answer is None) == (why != "")
    if answer is not None:
        assert answer in text
        assert text.count("<answer>") == 1


def least_seconds(work: Callable[[], object]) -> float:
    """The quickest of three: other work on the machine only adds."""
    taken = []
    for _run in range(3):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


@pytest.mark.parametrize("piece", ["-", "(", "9", "9*", "(9", "<answer>", "</think>"])
def test_ten_times_the_text_takes_no_more_than_ten_times_the_time(piece):
    short, long = piece * 100_000, piece * 1_000_000
    quick = least_seconds(lambda: score(PROBLEM, said(short)))
    slow = least_seconds(lambda: score(PROBLEM, said(long)))
    # what grows with the square would take a hundred times; 1 ms is the clock's noise
    assert slow < 40 * quick + 0.001
