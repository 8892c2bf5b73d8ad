"""A comparison says what is wrong in plain words, and never what is right."""

import math

import pytest
import torch

from sparrow.checks.compare import compare_close, compare_equal

RIGHT = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
TIGHT = {"rtol": 1e-6, "atol": 1e-6}


def said(actual, expected=RIGHT, **more):
    verdict = compare_close(actual, expected, **TIGHT, **more)
    assert not verdict.passed
    return verdict.message


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (None, RIGHT, "is None: is a return missing?"),
        (3.0, RIGHT, "is a decimal number where a tensor is needed"),
        (RIGHT.T, RIGHT, r"has shape \[3, 2\] where \[2, 3\] is needed"),
        (RIGHT.double(), RIGHT, "has type float64 where float32 is needed"),
        (RIGHT / 0 * 0, RIGHT, "holds NaN"),
        (-RIGHT, RIGHT, "wrong sign"),
        (RIGHT * 3, RIGHT, "3 times what it should be"),
        (torch.ones(2, 2).cumsum(0), torch.ones(2, 2).cumsum(1), "0 and 1 are swapped"),
        (RIGHT + torch.eye(3)[:2] * 9, RIGHT, r"2 of 6 values .* position \[0, 0\]"),
        (torch.tensor(3.0), 3.0, r"`.item\(\)` makes one"),
        (math.nan, 1.0, "holds NaN"),
        (2.0, 1.0, "too large"),
        (0.5, 1.0, "too small"),
        (1.0, 1, "whole number"),
        (1, True, "is a whole number where True or False is needed"),
        ("a", 1.0, "is text where a decimal number is needed"),
        ([1, 2], [1, 2, 3], "has 2 parts where 3 are needed"),
        ([1, "b"], [1, 2], r"\[1\] is text"),
        ({"a": 1}, {"b": 1}, "needs exactly these names: b"),
        ({"a": [RIGHT]}, {"a": [RIGHT[0]]}, r"a\[0\] has shape"),
        ({"a": -RIGHT}, {"a": RIGHT}, "a: Every value has the wrong sign"),
        ([1.0, 9.0], [1.0, 2.0], r"\[1\]: It is too large"),
    ],
)
def test_the_first_difference_is_named(actual, expected, words):
    import re

    assert re.search(words, said(actual, expected))


def test_a_named_mistake_is_the_likeliest_cause():
    def no_square(x):
        return x

    verdict = compare_close(
        RIGHT, RIGHT**2, **TIGHT, causes=[("no square", no_square)], inputs={"x": RIGHT}
    )
    assert verdict.message == "no square"


def test_a_mistake_that_gives_the_right_value_here_explains_nothing():
    other = torch.tensor([7.0, 8.0])
    causes = [("harmless", lambda: RIGHT), ("the cause", lambda: RIGHT + 1)]
    assert said(RIGHT + 1, causes=causes) == "the cause"
    assert "values are wrong" in said(
        RIGHT + other[0] * torch.eye(3)[:2], causes=causes
    )


def test_close_is_close_and_equal_is_equal():
    assert compare_close(RIGHT + 1e-7, RIGHT, **TIGHT).passed
    assert compare_close({"a": [1.0]}, {"a": [1.0 + 1e-9]}, **TIGHT).passed
    assert compare_close(math.nan, math.nan, **TIGHT).passed
    assert compare_equal([1, "a", True, None], [1, "a", True, None]).passed
    assert compare_equal(torch.tensor([1, 2]), torch.tensor([1, 2])).passed
    assert not compare_equal(torch.tensor([1, 3]), torch.tensor([1, 2])).passed
    assert not compare_equal(1.0 + 1e-12, 1.0).passed


def test_infinities_are_compared_as_they_are():
    masked = torch.tensor([0.0, -math.inf])
    assert compare_close(masked.clone(), masked, **TIGHT).passed
    assert "1 of 2 values" in said(torch.tensor([0.0, -1e9]), masked)
    assert not compare_close(math.inf, 1.0, **TIGHT).passed


def test_no_message_holds_the_expected_value():
    secret = 123.456
    for actual in (0.0, math.nan, "x", None, [secret], torch.tensor(1.0)):
        verdict = compare_close(actual, secret, **TIGHT)
        assert "123" not in verdict.message
    tensors = torch.tensor([secret, secret + 1])
    for wrong in (tensors + 5, tensors * torch.tensor([1.0, 2.0]), tensors.flip(0)):
        assert "123" not in said(wrong, tensors)
        assert "124" not in said(wrong, tensors)
