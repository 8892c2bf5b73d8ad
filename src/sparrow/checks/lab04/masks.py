"""Exercise 4.3: look back, but not into another document."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.checks.compare import compare_equal
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.data import packing
from sparrow.language import _

__all__ = ["CHECKS"]

ONE, SEVERAL = "one row", "several rows"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Rows with one document and with many; as many rows as places."""
    rows = {
        "one document": [[0, 0, 0]],
        "two documents": [[0, 0, 1, 1, 1]],
        "numbers that go on from earlier rows": [[7, 8, 8, 9]],
        "one place": [[3]],
        "two rows": [[0, 0, 0, 1], [1, 2, 2, 2]],
        "as many rows as places": [[0, 0, 1], [1, 1, 1], [2, 3, 3]],
    }
    if hidden:
        for count in (1, 2, 5):
            steps = torch.rand(count, 9, generator=generator) < 0.4
            rows[f"drawn {count}"] = steps.flatten().cumsum(0).view(count, 9).tolist()
    return [
        Case(name, ONE if len(row) == 1 else SEVERAL, {"document": torch.tensor(row)})
        for name, row in rows.items()
    ]


def expected(case: Case) -> Plain:
    """What the library makes."""
    return packing.attention_mask(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """Exactly the same pairs; the axis of the heads is often forgotten."""
    assert isinstance(wanted, Tensor)
    if isinstance(actual, Tensor) and actual.shape == wanted.squeeze(1).shape:
        return Verdict(False, _("The axis of the heads is missing: [R, 1, T, T]."))
    if isinstance(actual, Tensor) and actual.is_floating_point():
        return Verdict(False, _("The mask is made of True and False, not of numbers."))
    return compare_equal(actual, wanted, causes=causes(), inputs=case.inputs)


def causes() -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """What each likely mistake computes."""

    def same(document: Tensor) -> Tensor:
        return document[:, None, :, None] == document[:, None, None, :]

    def back(document: Tensor, diagonal: int = 0) -> Tensor:
        tokens = document.shape[1]
        return torch.ones(tokens, tokens, dtype=torch.bool).tril(diagonal)

    return [
        (_("It looks ahead: a place sees later places too."), same),
        (
            _("It looks into other documents: only the order counts here."),
            lambda document: back(document).expand_as(same(document)),
        ),
        (
            _("It is turned round: True means that a place may look."),
            lambda document: ~(same(document) & back(document)),
        ),
        (
            _("It looks ahead and not back: query first, then key."),
            lambda document: same(document) & back(document).T,
        ),
        (
            _("A place may look at itself, too."),
            lambda document: same(document) & back(document, -1),
        ),
        (
            _("Both conditions must hold; here one is enough."),
            lambda document: same(document) | back(document),
        ),
        (
            _("Every row has the mask of the first one."),
            lambda document: (same(document) & back(document))[:1].expand_as(
                same(document)
            ),
        ),
    ]


CHECKS = {
    "4.3": Check(
        exercise="4.3",
        solution="sparrow.data.packing:attention_mask",
        groups={ONE: 0.6, SEVERAL: 0.4},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
