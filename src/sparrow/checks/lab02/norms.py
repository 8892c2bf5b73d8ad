"""Exercise 2.2: RMSNorm, and where its epsilon, its axis and its precision belong."""

import torch
from torch import Tensor

from sparrow.checks.compare import Causes
from sparrow.checks.lab02.drawn import compare_tensors, drawn
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import norm

__all__ = ["CHECKS"]

ORDINARY, TINY, HALF = "ordinary vectors", "tiny and zero vectors", "half precision"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Several shapes; vectors near zero; half-precision numbers with large squares."""
    found = [
        _case("three vectors", ORDINARY, drawn(generator, 3, 4), generator),
        _case("two sequences", ORDINARY, drawn(generator, 2, 5, 8), generator),
        _case("one number", ORDINARY, torch.tensor([-3.0]), generator),
        # As many vectors as features: a mean over the wrong axis has the right shape.
        _case("a square", ORDINARY, drawn(generator, 4, 4), generator),
        _case("tiny", TINY, drawn(generator, 2, 6, size=1e-3), generator),
        _case("zero", TINY, torch.zeros(2, 3), generator),
        _case(
            "large fp16",
            HALF,
            drawn(generator, 3, 8, size=400.0, dtype=torch.float16),
            generator,
        ),
        _case("bf16", HALF, drawn(generator, 2, 2, 8, dtype=torch.bfloat16), generator),
    ]
    if hidden:
        found += [
            _case("drawn 1", ORDINARY, drawn(generator, 2, 3, 2, 5), generator),
            _case("drawn 2", TINY, drawn(generator, 4, 7, size=2e-3), generator),
            _case(
                "drawn 3",
                HALF,
                drawn(generator, 5, 3, size=600.0, dtype=torch.float16),
                generator,
            ),
        ]
    return found


def _case(name: str, group: str, x: Tensor, generator: torch.Generator) -> Case:
    weight = 1 + drawn(generator, x.shape[-1], size=0.3).to(x.dtype)
    return Case(name, group, {"x": x, "weight": weight, "eps": 1e-6})


def expected(case: Case) -> Plain:
    """What the library computes."""
    return norm.rms_norm(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The same vectors; for a zero vector and for overflow the cause is special."""
    assert isinstance(wanted, Tensor)
    if isinstance(actual, Tensor) and actual.shape == wanted.shape:
        if case.group == TINY and actual.isnan().any():
            return Verdict(
                False,
                _("A zero vector gives NaN: is the epsilon added inside the root?"),
            )
        if case.group == HALF and actual.dtype == torch.float32:
            return Verdict(
                False,
                _("The result is float32: return to the precision of x at the end."),
            )
        x = case.inputs["x"]
        assert isinstance(x, Tensor)
        lost = (actual == 0) & (x != 0) | actual.isnan() | actual.isinf()
        if case.group == HALF and lost.any():
            return Verdict(
                False,
                _(
                    "Large half-precision numbers are lost: their squares are above "
                    "65,504, the largest fp16. Which step goes to float32?"
                ),
            )
    return compare_tensors(actual, wanted, causes(), case.inputs)


def causes() -> Causes:
    """What each likely mistake computes."""

    def of(x: Tensor, weight: Tensor, divisor: Tensor) -> Tensor:
        return weight * (x.float() / divisor).to(x.dtype)

    def square(x: Tensor, dim: int | None = -1) -> Tensor:
        if dim is None:
            return x.float().pow(2).mean()
        return x.float().pow(2).mean(dim=dim, keepdim=True)

    def centred(x: Tensor) -> Tensor:
        return x.float() - x.float().mean(dim=-1, keepdim=True)

    def unbiased(x: Tensor) -> Tensor:
        """The variance that `x.var(-1)` gives, which divides by one less."""
        size = x.shape[-1]
        return square(centred(x)) * (size / max(size - 1, 1))

    return [
        (
            _("Is the epsilon inside the root? Add it to the mean of the squares."),
            lambda x, weight, eps: of(x, weight, square(x).sqrt() + eps),
        ),
        (
            _("The epsilon does nothing, or is missing: it belongs inside the root."),
            lambda x, weight, eps: of(x, weight, square(x).sqrt()),
        ),
        (
            _("The root is missing: you divide by the mean of the squares itself."),
            lambda x, weight, eps: of(x, weight, square(x) + eps),
        ),
        (
            _("This is the sum of the squares: RMS takes their mean."),
            lambda x, weight, eps: of(
                x, weight, (square(x) * x.shape[-1] + eps).sqrt()
            ),
        ),
        (
            _("The mean is over the wrong axis: each vector has its own mean."),
            lambda x, weight, eps: of(x, weight, (square(x, 0) + eps).sqrt()),
        ),
        (
            _("One mean for the whole tensor: each vector has its own mean."),
            lambda x, weight, eps: of(x, weight, (square(x, None) + eps).sqrt()),
        ),
        (
            _("The weight is missing: scale each feature at the end."),
            lambda x, weight, eps: of(
                x, torch.ones_like(weight), (square(x) + eps).sqrt()
            ),
        ),
        (
            _("You multiply by the root: divide by it."),
            lambda x, weight, eps: of(x, weight, 1 / (square(x) + eps).sqrt()),
        ),
        (
            _("The mean of the features is taken off: that is LayerNorm, not RMSNorm."),
            lambda x, weight, eps: of(
                centred(x), weight, (square(centred(x)) + eps).sqrt()
            ).to(x.dtype),
        ),
        (
            _("The mean of the features is taken off: that is LayerNorm, not RMSNorm."),
            lambda x, weight, eps: of(
                centred(x), weight, (unbiased(x) + eps).sqrt()
            ).to(x.dtype),
        ),
        (
            _("This is the mean of the sizes: RMS squares first, and takes the root."),
            lambda x, weight, eps: of(
                x, weight, x.float().abs().mean(dim=-1, keepdim=True) + eps
            ),
        ),
    ]


CHECKS = {
    "2.2": Check(
        exercise="2.2",
        solution="sparrow.model.norm:rms_norm",
        groups={ORDINARY: 0.5, TINY: 0.25, HALF: 0.25},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
