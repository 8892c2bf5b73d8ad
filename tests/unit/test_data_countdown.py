"""Countdown problems are solvable, seeded and split; searches written are right."""

import pytest
import torch

from sparrow.data import countdown, search
from sparrow.errors import ConfigError
from sparrow.runtime import generator
from sparrow.verify import Countdown, score
from tests.unit.test_verify_countdown import reachable

DIALS = [(2, 9), (3, 9), (3, 20), (4, 12), (6, 99)]


def keys(found: list[Countdown]) -> set[tuple[tuple[int, ...], int]]:
    return {(tuple(sorted(each.numbers)), each.target) for each in found}


@pytest.mark.parametrize(("numbers", "largest"), DIALS)
def test_problems_are_as_hard_as_the_dial_says(numbers, largest):
    made = countdown.problems(
        generator(1), 50, numbers=numbers, largest=largest, held_out=False
    )
    assert len(made) == 50
    for each in made:
        assert len(each.numbers) == numbers
        assert all(1 <= number <= largest for number in each.numbers)
        assert 1 <= each.target <= 99


def test_every_problem_can_be_solved():
    for held_out in (False, True):
        for each in countdown.problems(generator(2), 30, held_out=held_out):
            assert each.target in set(reachable(each.numbers))


def test_no_problem_is_on_both_sides():
    train = keys(countdown.problems(generator(3), 3000, largest=20, held_out=False))
    tests = keys(countdown.problems(generator(4), 300, largest=20, held_out=True))
    assert not train & tests
    assert all(not countdown.is_held_out(*each) for each in train)
    assert all(countdown.is_held_out(*each) for each in tests)


def test_the_order_of_the_numbers_does_not_move_a_problem_to_the_other_side():
    for each in countdown.problems(generator(5), 50, held_out=True):
        assert countdown.is_held_out(each.numbers[::-1], each.target)
        assert countdown.is_held_out(sorted(each.numbers), each.target)


def test_about_one_problem_in_twenty_is_held_out():
    every = [
        (a, b, c) for a in range(1, 20) for b in range(1, 20) for c in range(1, 20)
    ]
    share = sum(countdown.is_held_out(each, 24) for each in every) / len(every)
    # orders of the same numbers go together, so this is about 1330 draws: sd 0.006
    assert share == pytest.approx(0.05, abs=0.02)


def test_tests_ask_each_problem_once_whatever_the_order_of_its_numbers():
    made = countdown.problems(generator(6), 200, largest=20, held_out=True)
    assert len(keys(made)) == 200


def test_a_seed_decides_which_problems():
    first = countdown.problems(generator(7), 20, held_out=False)
    assert first == countdown.problems(generator(7), 20, held_out=False)
    assert first != countdown.problems(generator(8), 20, held_out=False)


def test_nobody_elses_random_numbers_are_touched():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    countdown.problems(generator(7), 5, held_out=True)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "dial",
    [
        {"numbers": 1},
        {"numbers": 7},
        {"largest": 1},
        {"largest": 100},
        {"count": 0},
        {"count": -1},
    ],
)
def test_a_dial_out_of_its_range_is_refused(dial):
    count = dial.pop("count", 5)
    with pytest.raises(ConfigError, match="numbers must be in 2..6, largest in 2..99"):
        countdown.problems(generator(1), count, held_out=False, **dial)


def test_more_problems_than_there_are_is_one_sentence():
    with pytest.raises(ConfigError, match="fewer than 5 different problems with 2 num"):
        countdown.problems(generator(1), 5, numbers=2, largest=2, held_out=True)


# --- searches


@pytest.mark.parametrize(("numbers", "largest"), DIALS)
@pytest.mark.parametrize("patience", [0.0, 0.7, 1.0])
def test_a_search_is_written_as_the_judge_reads_it(numbers, largest, patience):
    draw = generator(9)
    made = countdown.problems(
        draw, 20, numbers=numbers, largest=largest, held_out=False
    )
    for problem in made:
        written = search.trace(problem, draw, patience=patience)
        scored = score(problem, written)
        assert scored.format
        assert scored.legality
        tries = search.tries_of(written)
        judged = [problem.judge(each) for each in tries]
        assert all(each.legality for each in judged)
        # a search ends with the first try that reaches, and answers what it tried last
        assert all(each.correctness == 0.0 for each in judged[:-1])
        assert scored.reward == judged[-1].correctness


def test_patience_finds_more_and_backtracks_more():
    made = countdown.problems(generator(10), 200, held_out=False)

    def share_and_tries(patience: float) -> tuple[float, float]:
        draw = generator(11)
        written = [search.trace(p, draw, patience=patience) for p in made]
        right = [score(p, w).reward for p, w in zip(made, written, strict=True)]
        tries = [len(search.tries_of(each)) for each in written]
        return sum(right) / len(right), sum(tries) / len(tries)

    none, some, full = map(share_and_tries, (0.0, 0.7, 1.0))
    assert none[0] < some[0] < full[0]
    assert 1.0 < none[1] < some[1] < full[1]


def test_each_try_ends_with_a_look_at_the_target():
    draw = generator(13)
    for problem in countdown.problems(draw, 50, held_out=False):
        written = search.trace(problem, draw, patience=1.0)
        thought = written.partition("</think>")[0].removeprefix("<think>")
        for line, bare in zip(
            thought.split("\n"), search.tries_of(written), strict=True
        ):
            reached = int(bare.rpartition("=")[2])
            sign = "<" if reached < problem.target else ">"
            sign = "=" if reached == problem.target else sign
            assert line == f"{bare}{sign}{problem.target}"


def test_with_three_numbers_a_search_without_an_end_of_patience_finds():
    # a step, then the best last step: every way to begin is tried, so nothing is missed
    # but what needs a fraction or a number below zero on the way
    draw = generator(12)
    made = countdown.problems(draw, 100, largest=12, held_out=True)
    right = [score(p, search.trace(p, draw, patience=1.0)).reward for p in made]
    assert sum(right) == 100


def test_a_seed_decides_how_a_search_goes():
    problem = Countdown((3, 7, 8), 29)
    one = [search.trace(problem, generator(1), patience=0.9) for _again in range(2)]
    others = {search.trace(problem, generator(seed), patience=0.9) for seed in range(9)}
    assert one[0] == one[1]
    assert len(others) > 2


def test_two_numbers_can_always_be_joined():
    # so that a search never gets stuck, and always has something to answer
    worst = [1, 2, 498, 499, 500, 501, 997, 998, 999]
    for left in worst:
        for right in worst:
            assert search.moves([left, right])


@pytest.mark.parametrize(
    ("completion", "tries"),
    [
        ("<think>1+1=2\n2+2=4</think><answer>2+2</answer>", ["1+1=2", "2+2=4"]),
        ("<think></think><answer>2+2</answer>", []),
        ("1+1=2\n\n 2+2=4", ["1+1=2", "2+2=4"]),
        ("", []),
    ],
)
def test_the_tries_of_a_completion_are_its_lines_of_thought(completion, tries):
    assert search.tries_of(completion) == tries
