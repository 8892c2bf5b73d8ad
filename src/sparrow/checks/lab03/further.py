"""Exercise 3.6: the token after the next, and no look over a document's end."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.checks.compare import Causes, compare_close
from sparrow.checks.lab03.small import RTOL, drawn, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.data.packing import IGNORED
from sparrow.language import _
from sparrow.train import loss

__all__ = ["CHECKS"]

ONE, ENDS = "one module", "documents that end"
DEEP, PART = "several modules", "a part of a batch"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """One module and more, ends in the middle, and a given count."""

    def case(
        name: str,
        group: str,
        rows: int,
        tokens: int,
        words: int,
        modules: int = 1,
        ends: Sequence[tuple[int, int]] = (),
        count: int | None = None,
    ) -> Case:
        targets = torch.randint(words, (rows, tokens), generator=generator)
        for row, place in ends:
            targets[row, place] = IGNORED
        predictions: list[Plain] = [
            drawn(generator, rows, tokens - depth, words, size=2.0)
            for depth in range(1, modules + 1)
        ]
        inputs: dict[str, Plain] = {"predictions": predictions, "targets": targets}
        if count is not None:
            inputs["count"] = count
        return Case(name, group, inputs)

    found = [
        case("three tokens", ONE, 1, 3, 2),
        case("two rows", ONE, 2, 6, 5),
        case("one end", ENDS, 1, 7, 4, ends=[(0, 3)]),
        case("ends side by side", ENDS, 2, 8, 5, ends=[(0, 2), (0, 3), (1, 7)]),
        case("two modules", DEEP, 2, 7, 6, modules=2),
        case("three modules and an end", DEEP, 2, 9, 3, modules=3, ends=[(1, 4)]),
        case("count given", PART, 2, 5, 4, count=23),
    ]
    if hidden:
        tokens = some(generator, 8, 14)
        end = [(0, some(generator, 1, 4)), (1, some(generator, 2, 6))]
        found += [
            case("drawn 1", ONE, 3, tokens, 7),
            case("drawn 2", ENDS, 3, tokens, 6, ends=end),
            case("drawn 3", DEEP, 2, tokens, 5, modules=2, ends=end),
            case(
                "drawn 4", PART, 2, tokens, 4, ends=end, count=some(generator, 40, 90)
            ),
        ]
    return found


def expected(case: Case) -> Plain:
    """What the library computes."""
    return loss.mtp_loss(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """One number; name the shift or the share that is wrong."""
    return compare_close(
        actual, wanted, rtol=RTOL, atol=1e-6, causes=causes(), inputs=case.inputs
    )


def _count_of(targets: Tensor) -> int:
    return int((targets != IGNORED).sum())


def _surprise(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def _of(
    aim: Callable[[Tensor, int], Tensor],
    share: Callable[[Tensor, Tensor, int], float] = lambda own, all_, given: given,
    join: Callable[[Tensor], Tensor] = Tensor.mean,
) -> Callable[..., Tensor]:
    """`aim` gives a module's targets; `share` what its sum is divided by."""

    def mistake(
        predictions: list[Tensor], targets: Tensor, count: int | None = None
    ) -> Tensor:
        given = _count_of(targets) if count is None else count
        losses = []
        for depth, logits in enumerate(predictions, start=1):
            own = aim(targets, depth)[:, : logits.shape[1]]
            divisor = share(own, targets, given)
            losses.append(_surprise(logits, own) / max(divisor, 1))
        return join(torch.stack(losses))

    return mistake


def causes() -> Causes:
    """What each likely mistake computes."""
    further = loss.further_targets

    def crossing(targets: Tensor, depth: int) -> Tensor:
        return targets[:, depth:]

    def rolled(targets: Tensor, depth: int) -> Tensor:
        return targets.roll(-depth, dims=1)

    def first_only(**given: Any) -> Tensor:
        return loss.mtp_loss(**{**given, "predictions": given["predictions"][:1]})

    return [
        (
            _("These are the next tokens: a module predicts one token further."),
            _of(lambda targets, depth: targets),
        ),
        (
            _("Across the end of a document there is nothing to predict."),
            _of(crossing),
        ),
        (
            _("Every module has the targets of the first: the second looks further."),
            _of(lambda targets, depth: further(targets, 1)),
        ),
        (
            _("The targets are shifted once too often."),
            _of(lambda targets, depth: _further_still(targets, depth)),
        ),
        (
            _("The targets are rolled round: the last ones come from the beginning."),
            _of(rolled),
        ),
        (
            _("Divide by the count of the main model's targets, for every module."),
            _of(further, share=lambda own, all_, given: _count_of(own)),
        ),
        (
            _("The count is given here: divide by it."),
            _of(further, share=lambda own, all_, given: _count_of(all_)),
        ),
        (
            _("Divide by the targets that are there: some places have none."),
            _of(further, share=lambda own, all_, given: all_.numel()),
        ),
        (
            _("Divide by the targets that are there: some places have none."),
            _of(further, share=lambda own, all_, given: own.numel()),
        ),
        (
            _("This is the sum over all places: divide it by the count."),
            _of(further, share=lambda own, all_, given: 1),
        ),
        (_("The modules are summed: take their mean."), _of(further, join=Tensor.sum)),
        (_("Only the first module counts here: there are more."), first_only),
        (
            _("These are losses of several modules: their mean is one number."),
            _of(further, join=lambda losses: losses),
        ),
    ]


def _further_still(targets: Tensor, depth: int) -> Tensor:
    """One token too far, with nothing to predict at the end."""
    tail = torch.full_like(targets[:, :1], IGNORED)
    return loss.further_targets(torch.cat((targets, tail), dim=1), depth + 1)


CHECKS = {
    "3.6": Check(
        exercise="3.6",
        solution="sparrow.train.loss:mtp_loss",
        groups={ONE: 0.35, ENDS: 0.25, DEEP: 0.25, PART: 0.15},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
