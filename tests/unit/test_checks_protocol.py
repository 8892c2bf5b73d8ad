"""Checks are data: shares sum to one, plain data is plain, seeds differ by secret."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from sparrow.checks import find, library
from sparrow.checks.drivers import drive
from sparrow.checks.judging import Answer, judge
from sparrow.checks.protocol import Case, Check, Verdict, copied, plain, seed_of
from sparrow.errors import CheckError


def doubling(**changes):
    """A check of `f(x) -> 2x` in two groups."""
    return Check(
        **{
            "exercise": "9.1",
            "groups": {"small": 0.25, "large": 0.75},
            "cases": lambda generator, hidden: [
                Case("one", "small", {"x": 1.0}),
                Case("two", "small", {"x": 2.0}),
                Case("many", "large", {"x": 1e6}),
            ],
            "expected": lambda case: 2 * case.inputs["x"],
            "compare": lambda case, want, got: Verdict(got == want, "not twice"),
            **changes,
        }
    )


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(CheckError, match=r"share 0\.5 of the points"):
        doubling(groups={"small": 0.5})


def test_a_group_earns_its_share_only_as_a_whole():
    check = doubling()
    cases = check.cases(None, False)
    outcome = judge(check, cases, [Answer(2.0), Answer(0.0), Answer(2e6)])
    assert [each.passed for each in outcome.groups] == [False, True]
    assert outcome.points_frac == 0.75
    assert not outcome.passed


def test_missing_answers_are_wrong_and_surplus_ones_are_ignored():
    check = doubling()
    cases = check.cases(None, False)
    assert judge(check, cases, [Answer(2.0)]).points_frac == 0
    right = [Answer(2.0), Answer(4.0), Answer(2e6)]
    assert judge(check, cases, [*right, Answer("surplus")]).passed


def test_a_group_without_cases_earns_nothing():
    check = doubling(groups={"small": 0.25, "large": 0.5, "empty": 0.25})
    cases = check.cases(None, False)
    right = [Answer(2.0), Answer(4.0), Answer(2e6)]
    assert judge(check, cases, right).points_frac == 0.75


def test_a_comparison_that_fails_counts_as_wrong():
    def compare(case, want, got):
        raise TypeError("no such luck")

    check = doubling(compare=compare)
    outcome = judge(check, check.cases(None, False), [Answer(2.0)])
    assert outcome.points_frac == 0
    assert "could not be compared (TypeError)" in outcome.groups[0].message


def test_thirds_sum_to_full_points():
    check = doubling(groups=dict.fromkeys(("small", "large", "more"), 1 / 3))
    cases = [*check.cases(None, False), Case("more", "more", {"x": 3.0})]
    answers = [Answer(2.0 * case.inputs["x"]) for case in cases]
    assert judge(check, cases, answers).points_frac == 1.0


@dataclass
class Point:
    x: float
    y: list[int]


class Pair(NamedTuple):
    first: int
    second: torch.Tensor


def test_records_tuples_and_arrays_become_plain():
    assert plain(Point(1.0, [2])) == {"x": 1.0, "y": [2]}
    assert plain((1, (True, None))) == [1, [True, None]]
    assert plain(np.float32(0.5)) == 0.5
    assert torch.equal(plain(np.ones(2)), torch.ones(2, dtype=torch.float64))
    pair = plain(Pair(1, torch.ones(2, requires_grad=True)))
    assert pair["first"] == 1
    assert not pair["second"].requires_grad


@pytest.mark.parametrize("value", [len, object(), {1}, iter([])])
def test_what_is_no_data_is_refused(value):
    with pytest.raises(CheckError, match="holds something of type"):
        plain([value])


def test_copies_are_deep():
    inputs = {"a": [torch.zeros(2)], "b": {"c": 1}}
    other = copied(inputs)
    other["a"][0].add_(1)
    other["b"]["c"] = 2
    assert inputs["a"][0].sum() == 0
    assert inputs["b"]["c"] == 1


def test_hidden_seeds_differ_from_public_ones_and_from_each_other():
    seeds = {
        seed_of("2.3"),
        seed_of("2.3", "secret"),
        seed_of("2.3", "other"),
        seed_of("2.4"),
    }
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_driver_gives_gradients():
    inputs = {
        "arguments": {"x": torch.tensor([1.0, 2.0]), "k": 3.0},
        "wrt": ["x"],
        "weights": torch.tensor([1.0, 10.0]),
    }
    answer = drive("gradient", lambda x, k: k * x**2, inputs)
    assert torch.equal(answer["gradients"]["x"], torch.tensor([6.0, 120.0]))
    assert torch.equal(answer["result"], torch.tensor([3.0, 12.0]))
    assert not inputs["arguments"]["x"].requires_grad


def test_a_driver_calls_methods_in_turn():
    class Counter:
        def __init__(self, start):
            self.n = start

        def add(self, k):
            self.n += k
            return self.n

        def __call__(self):
            return [self.n]

    calls = [{"method": "add", "arguments": {"k": 2}}, {"method": ""}]
    inputs = {"new": {"start": 1}, "calls": calls}
    assert drive("methods", Counter, inputs) == [3, [3]]


def test_an_unknown_driver_is_one_sentence():
    with pytest.raises(CheckError, match="no driver psychic: choose one of call"):
        drive("psychic", len, {})


def test_a_learner_who_changes_the_inputs_harms_no_case():
    case = {"x": torch.zeros(2)}
    drive("call", lambda x: x.add_(1), case)
    assert case["x"].sum() == 0


@pytest.mark.parametrize(
    ("exercise", "words"),
    [
        ("two", "write a number such as 2.3"),
        ("77.1", "no checks for lab 77"),
        ("0.99", "no check for exercise 0.99: this lab has 0.1"),
    ],
)
def test_a_check_that_does_not_exist_is_one_sentence(exercise, words):
    with pytest.raises(CheckError, match=words):
        find(exercise)


def test_the_reference_stays_the_librarys_whatever_stands_in_its_place():
    from sparrow.cost import bill

    original, symbol = bill.training_effort, "sparrow.cost.bill:training_effort"
    library.replace(symbol, lambda **_given: None)
    library.replace(symbol, print)
    try:
        with library.as_written():
            assert bill.training_effort is original
        assert bill.training_effort is print
        assert library.replaced() == {symbol: print}
    finally:
        library.put_back(symbol)
    assert bill.training_effort is original


def test_a_symbol_that_does_not_exist_is_one_sentence():
    with pytest.raises(CheckError, match="no sparrow.cost.bill:magic in the library"):
        library.locate("sparrow.cost.bill:magic")
