"""Exercises 3.1 and 3.7: guess how lopsided experts become, then measure it."""

import torch
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import compare_close
from sparrow.checks.guess import guess_check
from sparrow.checks.lab03.small import fields, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.model import Sparrow, moe

__all__ = ["CHECKS"]

LAYERS, IDLE = "every layer with experts", "experts without work"


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Models of several sizes; some with so few tokens that experts stay idle."""

    def case(
        name: str, group: str, rows: int, tokens: int, experts: int, chosen: int
    ) -> Case:
        told = fields(experts, chosen, initializer_range=0.6)
        ids = torch.randint(told["vocab_size"], (rows, tokens), generator=generator)
        seed = some(generator, 0, 10**6)
        inputs: dict[str, Plain] = {
            "config": told,
            "dtype": "float32",
            "seed": seed,
            "arguments": [ids],
        }
        return Case(name, group, inputs)

    found = [
        case("two rows", LAYERS, 2, 30, 6, 2),
        case("one expert a token", LAYERS, 1, 50, 4, 1),
        case("three tokens", IDLE, 1, 3, 9, 2),
        case("one token", IDLE, 1, 1, 5, 2),
    ]
    if hidden:
        found += [
            case("drawn 1", LAYERS, 2, some(generator, 20, 40), 7, 3),
            case("drawn 2", IDLE, 1, some(generator, 2, 3), 10, 2),
        ]
    return found


def _loads(model: Sparrow, ids: Tensor) -> Tensor:
    """Tokens an expert, one row a layer. Shapes: [layers, E]."""
    with torch.inference_mode():
        model(ids)
    experts = model.config.n_routed_experts
    return torch.stack(
        [
            torch.bincount(each.experts.flatten(), minlength=experts)
            for each in model.routings()
        ]
    )


def expected(case: Case) -> Plain:
    """The loads, from which right and wrong answers follow."""
    return drivers.drive("with_model", _loads, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """One number a layer; name the part of the formula that is wrong."""
    assert isinstance(wanted, Tensor)
    told, arguments = case.inputs["config"], case.inputs["arguments"]
    assert isinstance(told, dict)
    assert isinstance(arguments, list)
    assert isinstance(arguments[0], Tensor)
    load, chosen = wanted.float(), told["num_experts_per_tok"]
    assert isinstance(chosen, int)
    tokens = arguments[0].numel()
    if isinstance(actual, float):
        return Verdict(
            False, _("This is one number: return a list with one for each layer.")
        )
    right = moe.max_violation(wanted)
    if isinstance(actual, Tensor) and actual.shape == right.shape:
        actual = actual.tolist()
    if isinstance(actual, list):
        items: list[Plain] = [
            each.item() if isinstance(each, Tensor) and each.dim() == 0 else each
            for each in actual
        ]
        actual = items
    busiest, mean = load.amax(-1), load.mean(-1)
    working = load.sum(-1) / (load > 0).sum(-1)
    up_to_last = load.sum(-1) / torch.stack([_last_busy(row) for row in load])
    share = tokens / load.shape[-1]
    mistakes = [
        (
            _("Experts without work count too: give bincount a minlength."),
            (busiest - up_to_last) / up_to_last,
        ),
        (_("Experts without work count too."), (busiest - working) / working),
        (_("1 is taken off at the end: this is the load over the mean."), right + 1),
        (_("Divide by the mean load, not by the largest."), (busiest - mean) / busiest),
        (_("Divide by the mean load: these are tokens."), busiest - mean),
        (_("These are loads of the busiest expert: compare with the mean."), busiest),
        (_("This is the share of all work: compare with the mean."), busiest / tokens),
        (
            _("This is the share of all work: compare with the mean."),
            busiest / load.sum(-1),
        ),
        (
            _("Each token has several experts: the mean load counts all of them."),
            (busiest - share) / share,
        ),
        (_("This is the idlest expert: take the busiest."), 1 - load.amin(-1) / mean),
        (
            _("This is the idlest expert: take the busiest."),
            (load.amin(-1) - mean) / mean,
        ),
    ]
    return compare_close(
        actual,
        right.tolist(),
        rtol=1e-4,
        atol=1e-6,
        causes=[
            (message, lambda value=value: value.tolist()) for message, value in mistakes
        ],
    )


def _last_busy(load: Tensor) -> Tensor:
    """How many entries `bincount` gives without a minlength."""
    return load.nonzero().max() + 1


CHECKS = {
    "3.1": guess_check("3.1", "a number of times", lambda: _("times the fair share")),
    "3.7": Check(
        exercise="3.7",
        solution=None,
        groups={LAYERS: 0.6, IDLE: 0.4},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="with_model",
    ),
}
