"""Countdown's judge agrees with arithmetic done another way."""

import operator
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sparrow.data import search
from sparrow.errors import VerifyError
from sparrow.verify import Countdown, expression

DOES = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
RANK = {"+": 1, "-": 1, "*": 2, "/": 2}


@st.composite
def trees(draw: Any, numbers: list[int]) -> Any:
    """Any way to join these numbers: a number, or (sign, left, right)."""
    if len(numbers) == 1:
        return numbers[0]
    cut = draw(st.integers(1, len(numbers) - 1))
    left = draw(trees(numbers[:cut]))
    right = draw(trees(numbers[cut:]))
    return draw(st.sampled_from("+-*/")), left, right


@st.composite
def joined(draw: Any) -> tuple[list[int], Any]:
    numbers = draw(st.lists(st.integers(1, 99), min_size=2, max_size=6))
    return numbers, draw(trees(draw(st.permutations(numbers))))


def worth(tree: Any) -> Fraction:
    if isinstance(tree, int):
        return Fraction(tree)
    sign, left, right = tree
    value: Fraction = DOES[sign](worth(left), worth(right))
    return value


def text_of(tree: Any, *, above: int = 0, all_brackets: bool = False) -> str:
    """With every bracket, or with those alone that arithmetic needs."""
    if isinstance(tree, int):
        return str(tree)
    sign, left, right = tree
    rank = RANK[sign]
    first = text_of(left, above=rank, all_brackets=all_brackets)
    # 8-(3-2) and 8/(4/2) need theirs: signs of one rank are worked out from the left
    second = text_of(right, above=rank + 1, all_brackets=all_brackets)
    text = f"{first}{sign}{second}"
    return f"({text})" if all_brackets or rank < above else text


@given(joined(), st.booleans())
@settings(deadline=None, max_examples=400)
def test_an_expression_is_worth_what_its_tree_is_worth(made, all_brackets):
    numbers, tree = made
    text = text_of(tree, all_brackets=all_brackets)
    try:
        value = worth(tree)
    except ZeroDivisionError:
        assert not Countdown(tuple(numbers), 1).judge(text).legality
        return
    found = expression.work_out(text)
    assert found.value == value
    assert sorted(found.numbers) == sorted(numbers)
    if value.denominator == 1:
        right = Countdown(tuple(numbers), int(value)).judge(text)
        assert (right.legality, right.correctness, right.why) == (True, 1.0, "")
    wrong = Countdown(tuple(numbers), int(value) + 1).judge(text)
    assert (wrong.legality, wrong.correctness) == (True, 0.0)


@given(joined(), st.integers(1, 99))
@settings(deadline=None)
def test_another_number_in_place_of_one_is_refused(made, other):
    numbers, tree = made
    assume(other != numbers[0])
    text = text_of(tree, all_brackets=True)
    assert not Countdown((other, *numbers[1:]), 1).judge(text).legality


@st.composite
def chains(draw: Any) -> tuple[list[int], list[search.Step]]:
    numbers = draw(st.lists(st.integers(1, 99), min_size=2, max_size=6))
    left, steps = list(numbers), []
    while len(left) > 1:
        step, left = draw(st.sampled_from(search.moves(left)))
        steps.append(step)
    return numbers, steps


@given(chains())
@settings(deadline=None, max_examples=300)
def test_a_chain_and_its_expression_are_worth_the_same(made):
    numbers, steps = made
    attempt = search.Try(tuple(steps))
    problem = Countdown(tuple(numbers), attempt.reached)
    assert problem.judge(str(attempt)).correctness == 1.0
    assert problem.judge(attempt.expression).correctness == 1.0
    assert expression.work_out(attempt.expression).value == attempt.reached


@given(chains(), st.data())
@settings(deadline=None)
def test_a_chain_with_one_number_changed_is_refused(made, data):
    numbers, steps = made
    place = data.draw(st.integers(0, len(steps) - 1))
    part = data.draw(st.sampled_from(["left", "right", "made"]))
    step = steps[place]
    changed = step._replace(**{part: getattr(step, part) + 1})
    told = search.Try((*steps[:place], changed, *steps[place + 1 :]))
    target = steps[-1].made
    # 1/1=1 can become 2/1=1, never right: each change breaks the step itself, unless
    # the other operand is blind to it, as 0 would be; there are no zeros.
    assert Countdown(tuple(numbers), target).judge(str(told)).correctness == 0.0


def reachable(numbers: tuple[int, ...]) -> Iterator[Fraction]:
    """Everything that can be made of all numbers, by brute force."""
    values = [Fraction(each) for each in numbers]

    def join(left: list[Fraction]) -> Iterator[Fraction]:
        if len(left) == 1:
            yield left[0]
        for i, first in enumerate(left):
            for j, second in enumerate(left):
                if i == j:
                    continue
                rest = [each for k, each in enumerate(left) if k not in (i, j)]
                for sign, do in DOES.items():
                    if sign != "/" or second != 0:
                        yield from join([*rest, do(first, second)])

    return join(values)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=3))
@settings(deadline=None, max_examples=60)
def test_what_chance_makes_of_numbers_can_be_made(numbers):
    possible = set(reachable(tuple(numbers)))
    left = [list(numbers)]
    while left:
        now = left.pop()
        if len(now) == 1:
            assert now[0] in possible
        left += [after for _step, after in search.moves(now)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("3*7", "the answer uses 3 7; the problem gives 3 7 8, each once."),
        ("3+7+8", "the answer is worth 18, the target is 29."),
        ("8/(7*3)", "the answer is worth 8/21, the target is 29."),
        ("3/(7-7)+8", "the answer divides by zero."),
        ("3*7+", "the answer ends where a number should stand."),
        ("3*)7+8", "')' stands where it should not."),
        ("((3*7)+8", "a bracket is not closed."),
        ("3*7=21,22+8=30", "'22+8=30' takes a number that is not there."),
        ("3*7=20,20+8=28", "'3*7=20' is wrong."),
        ("3*7=21", "not all numbers were used."),
        ("3*7+8=29", "'3*7+8=29' is no step: a step joins two numbers."),
        ("1234567", "a number has more than 6 digits."),
        ("(" * 21, "brackets are more than 20 deep."),
        ("1" * 201, "the answer has 201 characters; at most 200 are read."),
    ],
)
def test_a_judgement_says_what_is_wrong(answer, why):
    assert Countdown((3, 7, 8), 29).judge(answer).why == why


def test_numbers_may_repeat_as_often_as_they_are_given():
    problem = Countdown((5, 5, 5), 30)
    assert problem.judge("5*5+5").correctness == 1.0
    assert problem.judge("5*5=25,25+5=30").correctness == 1.0
    assert not problem.judge("5*5+5+5-5").legality
    assert not problem.judge("5*5=25,25+5=30,30*5=150").legality


def test_a_problem_asks_in_one_line():
    problem = Countdown((3, 7, 8), 29)
    assert problem.question == "numbers 3 7 8 target 29"
    assert problem.family == "countdown"


def test_a_sign_that_has_no_place_is_shown():
    with pytest.raises(VerifyError, match="'٣' has no place in an answer"):
        expression.work_out("٣+1")
