"""Small batches of answers, and a comparison that looks at gradients, too."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.protocol import Case, Plain, Verdict
from sparrow.language import _

__all__ = [
    "RTOL",
    "alike",
    "compare_learning",
    "drawn",
    "mask_of",
    "some",
    "with_gradient",
]

RTOL = 2e-5  # float32; 0.0001 that is not added must still show


def drawn(generator: torch.Generator, *shape: int, size: float = 1.0) -> Tensor:
    """Numbers from a bell curve of width `size`."""
    return torch.randn(*shape, generator=generator) * size


def some(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def alike(answers: int) -> list[list[float]]:
    """Groups in which all earn the same; the mean of sevens and nines is rounded."""
    return [[tenths / 10] * answers for tenths in range(1, 10)]


def mask_of(lengths: list[int], places: int) -> Tensor:
    """1 where an answer of this length has a token. Shapes: [B, T]."""
    return (torch.arange(places) < torch.tensor(lengths)[:, None]).float()


def with_gradient(
    name: str, group: str, arguments: Mapping[str, Plain], by: str, seed: int = 0
) -> Case:
    """A case for the driver `gradient`: the result, weighted, differentiated by one."""
    shaped = arguments[by]
    assert isinstance(shaped, Tensor)
    draw = torch.Generator().manual_seed(seed)
    inputs: dict[str, Plain] = {
        "arguments": dict(arguments),
        "wrt": [by],
        "weights": torch.rand(shaped.shape, generator=draw) + 0.5,
    }
    return Case(name, group, inputs)


def compare_learning(
    case: Case,
    wanted: Plain,
    actual: Plain,
    *,
    causes: Causes,
    learning: str,
    atol: float = 1e-6,
) -> Verdict:
    """The value; in the group called `learning`, the gradient, too.

    Args:
        case: made by `with_gradient`.
        wanted: what the driver says of the library.
        actual: what it says of the learner's function.
        causes: plausible mistakes, as functions of the arguments.
        learning: the group that is about the gradient.
        atol: allowed difference of a value.
    """
    assert isinstance(wanted, dict)
    if not isinstance(actual, dict):
        return Verdict(False, _("This is no answer of the driver."))
    arguments = case.inputs["arguments"]
    assert isinstance(arguments, dict)
    verdict = compare_close(
        actual.get("result"),
        wanted["result"],
        rtol=RTOL,
        atol=atol,
        causes=[(message, _quiet(mistake)) for message, mistake in causes],
        inputs=arguments,
    )
    if not verdict.passed or case.group != learning:
        return verdict
    gradients, right = actual.get("gradients"), wanted["gradients"]
    if not gradients or not isinstance(gradients, dict):
        return Verdict(
            False,
            _("The value is right, but nothing can learn from it: keep the tensors."),
        )
    if compare_close(gradients, right, rtol=1e-4, atol=1e-6).passed:
        return verdict
    return Verdict(False, _("The value is right, but its gradient is not."))


def _quiet(mistake: Callable[..., Any]) -> Callable[..., Any]:
    """The mistake, without a gradient."""

    def computed(**arguments: Any) -> Any:
        with torch.no_grad():
            return mistake(**arguments)

    return computed
