"""Thoughts about families, programs and words: they lead to the answer, or are not."""

import pytest

from sparrow.data import kinship, programs, spelling
from sparrow.verify import gym
from sparrow.verify.expression import work_out

LINKS = {  # what leads from the first person to the second, and the words for it
    ">": {"mother", "father"},
    "<": {"daughter", "son"},
    "=": {"wife", "husband"},
    "<>": {"sister", "brother"},
    ">>": {"grandmother", "grandfather"},
    "=<": {"mother-in-law", "father-in-law"},
}


@pytest.fixture(scope="module")
def families() -> list[gym.GymProblem]:
    return gym.gym_problems("family_relationships", 200, seed=3, held_out=False)


@pytest.fixture(scope="module")
def written() -> list[gym.GymProblem]:
    return gym.gym_problems("bf", 100, seed=3, held_out=False)


def chain_of(question):
    return kinship.thought(question).split("\n")[-1]


def test_a_chain_of_links_begins_and_ends_with_those_asked_about(families):
    for each in families:
        steps = chain_of(each.question).split(",")
        asked = kinship.ASKED.search(each.question)
        assert asked is not None
        assert steps[0].startswith(asked[1])
        assert steps[-1].endswith(asked[2])


def test_the_links_decide_the_word(families):
    for each in families:
        chain = chain_of(each.question)
        links = "".join(letter for letter in chain if letter in "<>=")
        assert each.answers[0] in LINKS[links]


def test_both_parents_have_the_child_and_siblings_share_them():
    story = "Ann is married to Bob. They have children called Cid, Dan and Eve.\n\n"
    assert kinship.thought(f"{story}What is Bob to Eve?").split("\n") == [
        "Ann=Bob>Cid>Dan>Eve",
        "Bob>Eve",
    ]
    assert chain_of(f"{story}How is Cid related to Eve?") in (
        "Cid<Ann,Ann>Eve",
        "Cid<Bob,Bob>Eve",
    )


@pytest.mark.parametrize(
    "question",
    [
        "",
        "numbers 3 7 target 21",
        "What is Ann to Bob?",
        "Ann is married to Bob. Cid is married to Eve.\n\nWhat is Ann to Eve?",
        "Ann is married to Bob.",
    ],
)
def test_no_family_no_thought(question):
    assert kinship.thought(question) == ""


def test_the_letters_of_a_program_spell_what_it_prints(written):
    for each in written:
        lines = programs.thought(each.question).split("\n")
        assert "".join(line[-1] for line in lines) == each.answers[0]


def test_every_sum_in_a_program_is_right(written):
    for each in written:
        for line in programs.thought(each.question).split("\n"):
            for step in filter(None, line[:-2].split(",")):
                left, right = step.split("=")
                assert work_out(left).value == int(right)


def test_a_program_is_run_by_hand():
    question = (
        "What does it print?\n\n>[-]>[-]<>++[<+++>-]<+++.->++[<->-]<..<\n\nSay it."
    )
    assert programs.thought(question).split("\n") == [
        "2*3=6,6+3=9 \t",
        "9-1=8,2*1=2,8-2=6 \x06",
        " \x06",
    ]


@pytest.mark.parametrize(
    "question",
    ["", "numbers 3 7 target 21", ",.,.,.,.,.", ">>+++[<+>-]<<[.-]", "--------."],
)
def test_no_program_of_that_kind_no_thought(question):
    assert programs.thought(question) == ""


def test_a_word_is_spelled_in_both_directions():
    question = "Spell this word backward (example: sun -> nus): Polish"
    assert spelling.thought(question) == "P,o,l,i,s,h\nh,s,i,l,o,P"


def test_the_last_line_of_a_spelling_is_the_answer():
    for each in gym.gym_problems("spell_backward", 50, seed=3, held_out=False):
        last = spelling.thought(each.question).split("\n")[-1]
        assert last.replace(",", "") == each.answers[0]


@pytest.mark.parametrize(
    "question", ["", "numbers 3 7 target 21", "Spell this word backward: two words"]
)
def test_no_word_no_spelling(question):
    assert spelling.thought(question) == ""
