"""Compare two plain values, and name the mistake that explains the difference.

An author names plausible mistakes as functions: if the actual value is what a mistake
would give, that mistake is the likeliest cause. No message says what is expected.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sparrow.checks.kinds import difference_in_kind
from sparrow.checks.protocol import Plain, Verdict
from sparrow.language import _, about

__all__ = ["Causes", "compare_close", "compare_equal", "difference_in_kind"]

# (what to tell the learner, a function that gives what this mistake would give)
Causes = Sequence[tuple[str, Callable[..., Any]]]


def compare_close(
    actual: Plain,
    expected: Plain,
    *,
    rtol: float,
    atol: float,
    causes: Causes = (),
    inputs: Mapping[str, Any] | None = None,
) -> Verdict:
    """Are the numbers close? If not, what is the likeliest cause?

    Args:
        actual: what the learner's code gave.
        expected: the reference; both may be lists or dictionaries of values.
        rtol: allowed difference as a share of the expected value.
        atol: allowed difference beside it.
        causes: plausible mistakes, likeliest first. Each function is called as
            `function(**inputs)`, or without arguments if `inputs` is None.
        inputs: the case's inputs, given to the functions of `causes`.
    """
    if message := difference_in_kind(actual, expected):
        return Verdict(False, message)
    if is_close(actual, expected, rtol, atol):
        return Verdict(True)
    for message, mistake in causes:
        wrong = mistake(**inputs) if inputs is not None else mistake()
        explains = not difference_in_kind(actual, wrong) and is_close(
            actual, wrong, rtol, atol
        )
        # A mistake that gives the right value here explains nothing.
        is_right = not difference_in_kind(wrong, expected) and is_close(
            wrong, expected, rtol, atol
        )
        if explains and not is_right:
            return Verdict(False, message)
    return Verdict(False, general_cause(actual, expected, rtol, atol))


def compare_equal(
    actual: Plain,
    expected: Plain,
    *,
    causes: Causes = (),
    inputs: Mapping[str, Any] | None = None,
) -> Verdict:
    """Is it exactly the same? For whole numbers, text, indices and truth values."""
    return compare_close(
        actual, expected, rtol=0.0, atol=0.0, causes=causes, inputs=inputs
    )


def is_close(actual: Plain, expected: Plain, rtol: float, atol: float) -> bool:
    """Every number close, everything else equal; the kinds agree already."""
    if isinstance(expected, Tensor):
        assert isinstance(actual, Tensor)
        if not expected.is_floating_point():
            return torch.equal(actual, expected)
        return torch.allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True)
    if isinstance(expected, float):
        assert isinstance(actual, int | float)
        if math.isnan(expected):
            return math.isnan(actual)
        return math.isclose(actual, expected, rel_tol=rtol, abs_tol=atol)
    if isinstance(expected, list):
        assert isinstance(actual, list)
        pairs = zip(actual, expected, strict=True)
        return all(is_close(got, want, rtol, atol) for got, want in pairs)
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        return all(is_close(actual[k], expected[k], rtol, atol) for k in expected)
    return actual == expected


def general_cause(actual: Plain, expected: Plain, rtol: float, atol: float) -> str:
    """What can be said of any wrong value without saying what is right."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, want in expected.items():
            if not is_close(actual[key], want, rtol, atol):
                return about(key, general_cause(actual[key], want, rtol, atol))
    if isinstance(expected, list) and isinstance(actual, list):
        for index, want in enumerate(expected):
            if not is_close(actual[index], want, rtol, atol):
                cause = general_cause(actual[index], want, rtol, atol)
                return about(f"[{index}]", cause)
    if isinstance(expected, Tensor) and isinstance(actual, Tensor):
        return _cause_of_tensors(actual, expected, rtol, atol)
    is_number = isinstance(expected, int | float) and isinstance(actual, int | float)
    if is_number and not isinstance(expected, bool):
        assert isinstance(actual, int | float)
        assert isinstance(expected, int | float)
        return _("It is too large.") if actual > expected else _("It is too small.")
    return _("It is not the right value.")


def _cause_of_tensors(
    actual: Tensor, expected: Tensor, rtol: float, atol: float
) -> str:
    """Sign, one constant factor, swapped axes; else how many values are wrong."""

    def close(a: Tensor, b: Tensor) -> bool:
        return a.shape == b.shape and torch.allclose(a, b, rtol=rtol, atol=atol)

    if expected.is_floating_point() and expected.numel() > 1:
        if close(-actual, expected):
            return _("Every value has the wrong sign.")
        factor = (actual * expected).sum() / (expected * expected).sum()
        if factor.isfinite() and factor != 0 and close(actual / factor, expected):
            return _(
                "Every value is {factor} times what it should be: is a factor "
                "missing, or used twice?",
                factor=f"{factor.item():.3g}",
            )
        for first in range(expected.dim()):
            for second in range(first):
                if close(actual.transpose(second, first), expected):
                    return _(
                        "Axes {first} and {second} are swapped.",
                        first=second,
                        second=first,
                    )
    wrong = ~torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True)
    return _(
        "{n} of {all} values are wrong, the first at position {where}.",
        n=int(wrong.sum()),
        all=wrong.numel(),
        where=wrong.nonzero()[0].tolist(),
    )
