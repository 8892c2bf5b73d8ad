"""Exercise 2.4: turn pairs of features, the right pairs in the right direction."""

import torch
from torch import Tensor

from sparrow.checks.compare import Causes
from sparrow.checks.lab02.drawn import compare_tensors, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import rope

__all__ = ["CHECKS"]

ONE, MANY, EDGES = "one pair", "many pairs, heads and tokens", "batches and precision"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """A quarter turn by hand, larger tensors, own positions a sequence, bf16."""

    def angles(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) * 6

    east = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    quarter = torch.full((1, 1, 1), torch.pi / 2)
    found = [
        # First, since it tells mistakes apart that zeros would make equal.
        _case("any angle", ONE, drawn(generator, 1, 1, 1, 2), angles(1, 1, 1)),
        _case("a quarter turn", ONE, east, quarter),
        _case("no turn", ONE, drawn(generator, 1, 1, 1, 2), quarter * 0),
        # As many heads as tokens: a wrong broadcast has the right shape.
        _case("heads = tokens", MANY, drawn(generator, 2, 3, 3, 8), angles(1, 3, 4)),
        _case("three pairs", MANY, drawn(generator, 1, 4, 2, 6), angles(1, 4, 3)),
        _case("own positions", EDGES, drawn(generator, 2, 3, 4, 4), angles(2, 3, 2)),
        _case(
            "bf16",
            EDGES,
            drawn(generator, 1, 2, 3, 8, dtype=torch.bfloat16),
            angles(1, 2, 4),
        ),
    ]
    if hidden:
        found += [
            _case("drawn 1", ONE, drawn(generator, 2, 3, 1, 2), angles(1, 3, 1)),
            _case("drawn 2", MANY, drawn(generator, 2, 5, 5, 10), angles(1, 5, 5)),
            _case("drawn 3", EDGES, drawn(generator, 3, 2, 2, 4), angles(3, 2, 2)),
        ]
    return found


def _case(name: str, group: str, x: Tensor, angle: Tensor) -> Case:
    return Case(name, group, {"x": x, "cos": angle.cos(), "sin": angle.sin()})


def expected(case: Case) -> Plain:
    """What the library computes."""
    return rope.rotate_pairs(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same points after the turn."""
    assert isinstance(wanted, Tensor)
    x = case.inputs["x"]
    assert isinstance(x, Tensor)
    is_wider = isinstance(actual, Tensor) and actual.dtype != x.dtype
    if is_wider and x.dtype == torch.bfloat16:
        return Verdict(
            False, _("The precision of x is lost: bring cos and sin to it first.")
        )
    return compare_tensors(actual, wanted, causes(), case.inputs)


def causes() -> Causes:
    """What each likely mistake computes."""

    def parts(x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
        wide = cos[:, :, None].to(x.dtype), sin[:, :, None].to(x.dtype)
        return x[..., 0::2], x[..., 1::2], *wide

    def joined(first: Tensor, second: Tensor) -> Tensor:
        return torch.stack((first, second), dim=-1).flatten(-2)

    def overwritten(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second, c, s = parts(x, cos, sin)
        first = first * c - second * s
        return joined(first, first * s + second * c)

    def halves_back(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second, c, s = parts(x, cos, sin)
        return torch.cat((first * c - second * s, first * s + second * c), dim=-1)

    def both_minus(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second, c, s = parts(x, cos, sin)
        return joined(first * c - second * s, second * c - first * s)

    def both_plus(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second, c, s = parts(x, cos, sin)
        return joined(first * c + second * s, first * s + second * c)

    def alike(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second, c, s = parts(x, cos, sin)
        return joined(first * c - second * s, first * c + second * s)

    def over_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        if x.shape[1] != x.shape[2] or cos.shape[0] != 1:
            return torch.zeros(0)
        first, second = x[..., 0::2], x[..., 1::2]
        c, s = cos[:, None].to(x.dtype), sin[:, None].to(x.dtype)
        return joined(first * c - second * s, first * s + second * c)

    return [
        (
            _("The turn goes the wrong way: look at the sign of the sine."),
            lambda x, cos, sin: rope.rotate_pairs(x, cos, -sin),
        ),
        (
            _("These are halves, Llama's layout: DeepSeek pairs neighbours, (0, 1)."),
            rope.rotate_halves,
        ),
        (
            _("Cosine and sine are swapped: no angle at all must change nothing."),
            lambda x, cos, sin: rope.rotate_pairs(x, sin, cos),
        ),
        (
            _("The second feature is computed from the new first one: keep the old."),
            overwritten,
        ),
        (
            _("The pairs are not put back side by side: is stack needed, or cat?"),
            halves_back,
        ),
        (_("One of the two sines has the wrong sign."), both_minus),
        (_("One of the two sines has the wrong sign."), both_plus),
        (
            _("Both formulas are alike but for the sign: the second begins with sine."),
            alike,
        ),
        (
            _("The angle follows the head: it must follow the token."),
            over_heads,
        ),
        (_("Nothing was turned."), lambda x, cos, sin: x),
    ]


CHECKS = {
    "2.4": Check(
        exercise="2.4",
        solution="sparrow.model.rope:rotate_pairs",
        groups={ONE: 0.4, MANY: 0.4, EDGES: 0.2},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
