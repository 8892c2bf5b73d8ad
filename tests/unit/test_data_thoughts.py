"""Thoughts written down for imitation: they lead to the answer, or are not there."""

import re

import pytest

from sparrow.data import filtering, kinship, programs, syllogisms
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


def test_a_list_is_filtered_number_by_number():
    question = "{} all numbers {} than 34 in this list: ['5', '34', '93']\nReturn"
    wanted = {
        ("Keep", "larger"): "no no yes",
        ("Keep", "smaller"): "yes no no",
        ("Remove", "larger"): "yes yes no",
        ("Remove", "smaller"): "no yes yes",
    }
    for asked, kept in wanted.items():
        lines = filtering.thought(question.format(*asked)).split("\n")
        assert [line.split()[0] for line in lines] == ["5<34", "34=34", "93>34"]
        assert " ".join(line.split()[1] for line in lines) == kept


@pytest.mark.parametrize("settings", ["", ",max_decimals=0,min_value=0"])
def test_the_numbers_kept_are_the_answer(settings):
    family = f"number_filtering{settings}"
    for each in gym.gym_problems(family, 100, seed=3, held_out=False):
        lines = filtering.thought(each.question).split("\n")
        kept = [line for line in lines if line.endswith(" yes")]
        numbers = re.findall(r"[-.\d]+", each.answers[0])
        assert [re.split("[<=>]", line)[0] for line in kept] == numbers


def test_a_syllogism_is_its_form():
    question = (
        "1. Some horses are not children\n2. No children are cats\n\n"
        "Does it logically follow that:\nNo horses are cats?\n(Answer Yes or No)"
    )
    assert syllogisms.thought(question) == "some not a b\nno b c\nno a c"


def test_every_syllogism_has_a_form_and_the_form_decides_the_answer():
    answers = {}
    for each in gym.gym_problems("syllogism", 400, seed=3, held_out=False):
        form = syllogisms.thought(each.question)
        assert answers.setdefault(form, each.answers) == each.answers
    assert "" not in answers


@pytest.mark.parametrize("question", ["", "numbers 3 7 target 21", "All is well."])
def test_no_list_and_no_statements_no_thought(question):
    assert filtering.thought(question) == ""
    assert syllogisms.thought(question) == ""
