"""Exercise 3.3: who is chosen, and how much each counts, are two questions."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.checks import drivers
from sparrow.checks.compare import compare_close, difference_in_kind
from sparrow.checks.lab03.small import RTOL, drawn, fields, some
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.config import Config
from sparrow.language import _
from sparrow.model import moe

__all__ = ["CHECKS"]

CHOSEN, OPEN = "who is chosen", "inside the best groups"
COUNTS, LEARNS = "how much each counts", "what learns, and what does not"
CLEAR = 2e-3  # the least distance between the last chosen and the first left out
Mistake = Callable[[Tensor, Tensor, Config], Tensor]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """With and without groups and norm; biases of both signs; no near ties."""

    def case(name: str, group: str, tokens: int, bf16: bool = False, **of: Any) -> Case:
        told = fields(**of)
        inputs = _without_ties(generator, tokens, Config(**told), bf16)
        probe = drawn(generator, tokens, of["experts"])
        return Case(
            name, group, {"arguments": {**inputs, "config": told}, "probe": probe}
        )

    grouped: dict[str, Any] = {"experts": 8, "chosen": 2, "n_group": 4, "topk_group": 2}
    scaled: dict[str, Any] = {"experts": 6, "chosen": 3, "routed_scaling_factor": 2.5}
    found = [
        case("five tokens", CHOSEN, 5, experts=4, chosen=1),
        case("as many tokens as experts", CHOSEN, 6, experts=6, chosen=2),
        case("bf16", CHOSEN, 7, bf16=True, experts=5, chosen=2),
        case("four groups", OPEN, 9, **grouped),
        case("two groups", OPEN, 8, experts=6, chosen=3, n_group=2, topk_group=1),
        case("three of six", COUNTS, 6, **scaled),
        case("not normalised", COUNTS, 5, norm_topk_prob=False, **scaled),
        case("with groups", COUNTS, 4, **grouped),
        case("gradients", LEARNS, 6, **scaled),
    ]
    if hidden:
        tokens = some(generator, 5, 12)
        found += [
            case("drawn 1", CHOSEN, tokens, experts=7, chosen=3),
            case("drawn 2", OPEN, tokens, **{**grouped, "topk_group": 3}),
            case("drawn 3", COUNTS, tokens, **{**scaled, "experts": 9}),
            case("drawn 4", LEARNS, tokens, experts=5, chosen=2),
        ]
    return found


def _without_ties(
    generator: torch.Generator, tokens: int, config: Config, bf16: bool
) -> dict[str, Plain]:
    """Tokens whose choice no rounding can change, biases of both signs."""
    experts, width = config.n_routed_experts, config.hidden_size
    dtype = torch.bfloat16 if bf16 else torch.float32
    weight = drawn(generator, experts, width, size=width**-0.5).to(dtype)
    lean = torch.linspace(-1.4, 0.2, experts)  # most choices become negative
    bias = lean[torch.randperm(experts, generator=generator)]
    rows: list[Tensor] = []
    while len(rows) < tokens:
        token = drawn(generator, 1, width, size=1.5).to(dtype)
        scores = F.linear(token.float(), weight.float()).sigmoid()
        open_groups = moe.limit_groups(scores + bias, config.n_group, config.topk_group)
        if _is_clear(scores + bias, open_groups, config):
            rows.append(token)
    return {"hidden": torch.cat(rows), "weight": weight, "bias": bias}


def _is_clear(choice: Tensor, open_groups: Tensor, config: Config) -> bool:
    """Whether the last chosen expert and group are well above the next ones."""

    def gap(values: Tensor, chosen: int) -> float:
        ordered = values.sort(descending=True).values.flatten()
        if chosen >= len(ordered):
            return 1.0
        return float(ordered[chosen - 1] - ordered[chosen])

    groups = choice.unflatten(-1, (config.n_group, -1)).sort(descending=True).values
    judged = groups[..., :2].sum(-1)
    return (
        gap(open_groups, config.num_experts_per_tok) > CLEAR
        and gap(judged, config.topk_group) > CLEAR
    )


def expected(case: Case) -> Plain:
    """What the library chooses, and what learns from it."""
    return drivers.drive("routed", moe.gate, case.inputs)


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """The set of experts of each token, in any order; then the weight of each."""
    assert isinstance(wanted, dict)
    right = wanted["routing"]
    got = actual["routing"] if isinstance(actual, dict) else None
    if message := difference_in_kind(got, right):
        return Verdict(False, message)
    assert isinstance(actual, dict)
    assert isinstance(got, dict)
    assert isinstance(right, dict)
    scores, bias, config = _scores_of(case)
    picked, best = got["experts"], right["experts"]
    assert isinstance(picked, Tensor)
    assert isinstance(best, Tensor)
    if message := _no_experts(picked, config):
        return Verdict(False, message)
    if case.group in (CHOSEN, OPEN):
        return _compare_choice(picked, best, scores, bias, config)
    verdict = compare_close(got["scores"], scores, rtol=RTOL, atol=1e-5)
    if not verdict.passed:
        return Verdict(
            False,
            _(
                "scores: these are not the sigmoids of hidden times weight; without "
                "the bias."
            ),
        )
    if case.group == LEARNS:
        return _compare_gradients(actual["gradients"], wanted["gradients"])
    return _compare_weights(got["weights"], picked, scores, bias, config)


def _scores_of(case: Case) -> tuple[Tensor, Tensor, Config]:
    given: Any = case.inputs["arguments"]
    scores = F.linear(given["hidden"].float(), given["weight"].float()).sigmoid()
    return scores, given["bias"], Config(**given["config"])


def _no_experts(picked: Tensor, config: Config) -> str:
    """Why these are no numbers of different experts, or nothing."""
    if picked.min() < 0 or picked.max() >= config.n_routed_experts:
        return _("experts: these are not all numbers of experts.")
    ordered = picked.sort(dim=-1).values
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        return _("experts: a token has the same expert twice.")
    return ""


def _as_sets(experts: Tensor, config: Config) -> Tensor:
    """True where a token has an expert. Shapes: [S, A] -> [S, E]."""
    return F.one_hot(experts, config.n_routed_experts).sum(1).bool()


def _compare_choice(
    picked: Tensor, best: Tensor, scores: Tensor, bias: Tensor, config: Config
) -> Verdict:
    if torch.equal(_as_sets(picked, config), _as_sets(best, config)):
        return Verdict(True)
    for message, mistake in choices():
        wrong = _as_sets(mistake(scores, bias, config), config)
        if torch.equal(_as_sets(picked, config), wrong):
            return Verdict(False, message)
    wrong_rows = (_as_sets(picked, config) != _as_sets(best, config)).any(-1)
    return Verdict(
        False,
        _(
            "experts: {n} of {all} tokens have other experts than they should.",
            n=int(wrong_rows.sum()),
            all=len(wrong_rows),
        ),
    )


def choices() -> list[tuple[str, Mistake]]:
    """Whom each likely mistake chooses."""

    def top(choice: Tensor, config: Config) -> Tensor:
        return choice.topk(config.num_experts_per_tok).indices

    def limited(choice: Tensor, config: Config) -> Tensor:
        return moe.limit_groups(choice, config.n_group, config.topk_group)

    def zeros(scores: Tensor, bias: Tensor, config: Config) -> Tensor:
        choice = limited(scores + bias, config)
        return top(choice.masked_fill(choice.isinf(), 0.0), config)

    def by_best_one(scores: Tensor, bias: Tensor, config: Config) -> Tensor:
        grouped = (scores + bias).unflatten(-1, (config.n_group, -1))
        best = grouped.amax(-1).topk(config.topk_group).indices
        is_open = torch.zeros(grouped.shape[:2], dtype=torch.bool).scatter(
            -1, best, True
        )
        closed = grouped.masked_fill(~is_open[..., None], float("-inf"))
        return top(closed.flatten(-2), config)

    def plain_groups(scores: Tensor, bias: Tensor, config: Config) -> Tensor:
        closed = limited(scores, config).isinf()
        return top((scores + bias).masked_fill(closed, float("-inf")), config)

    return [
        (
            _("experts: the bias does not move the choice: add it to the scores."),
            lambda s, b, c: top(limited(s, c), c),
        ),
        (
            _("experts: the bias is taken off: add it."),
            lambda s, b, c: top(limited(s - b, c), c),
        ),
        (
            _("experts: the groups are not limited: see `limit_groups`."),
            lambda s, b, c: top(s + b, c),
        ),
        (
            _("experts: closed groups hold 0, which wins against a negative score."),
            zeros,
        ),
        (_("experts: a group is judged by its two best, not by one."), by_best_one),
        (
            _("experts: judge the groups with the bias, too."),
            plain_groups,
        ),
        (
            _("experts: these are the worst ones: topk takes the largest."),
            lambda s, b, c: top(-limited(s + b, c).masked_fill(s < 0, 0), c),
        ),
        (
            _("experts: the bias comes after the sigmoid, not before it."),
            lambda s, b, c: top(limited((s.logit() + b).sigmoid(), c), c),
        ),
        (
            _("experts: multiply by nothing: the bias is added to the score."),
            lambda s, b, c: top(limited(s * b, c), c),
        ),
    ]


def _compare_weights(
    got: Plain, picked: Tensor, scores: Tensor, bias: Tensor, config: Config
) -> Verdict:
    """The weights that belong to the learner's own choice, right or not."""
    plain, pushed = scores.gather(-1, picked), (scores + bias).gather(-1, picked)

    def finish(weights: Tensor) -> Tensor:
        if config.norm_topk_prob:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights * config.routed_scaling_factor

    right, total = finish(plain), plain.sum(-1, keepdim=True)
    every = plain / scores.sum(-1, keepdim=True)
    causes = [
        (_("weights: the bias is in them: it moves the choice alone."), finish(pushed)),
        (_("weights: they are not scaled."), right / config.routed_scaling_factor),
        (_("weights: they are scaled twice."), right * config.routed_scaling_factor),
        (
            _("weights: norm_topk_prob is True here: let them sum to 1, then scale."),
            plain * config.routed_scaling_factor,
        ),
        (
            _("weights: norm_topk_prob is False here: do not divide."),
            plain / total * config.routed_scaling_factor,
        ),
        (
            _("weights: scale after the division, not before it."),
            plain / total if config.norm_topk_prob else right,
        ),
        (
            _("weights: the sum is over the chosen experts, not over all."),
            every * config.routed_scaling_factor,
        ),
        (
            _("weights: this is a softmax: divide each score by their sum."),
            plain.softmax(-1) * config.routed_scaling_factor,
        ),
    ]
    return compare_close(
        got,
        right,
        rtol=RTOL,
        atol=1e-5,
        causes=[(message, lambda wrong=wrong: wrong) for message, wrong in causes],
    )


def _compare_gradients(got: Plain, wanted: Plain) -> Verdict:
    """The router learns through the weights; the bias learns nothing."""
    assert isinstance(got, dict)
    assert isinstance(wanted, dict)
    if got["weight"] is None:
        return Verdict(
            False,
            _("No gradient reaches the router's weight: it would never learn."),
        )
    if isinstance(got["bias"], Tensor) and got["bias"].any():
        return Verdict(
            False,
            _("A gradient reaches the bias: it must move the choice and nothing else."),
        )
    if compare_close(got["weight"], wanted["weight"], rtol=1e-3, atol=1e-5).passed:
        return Verdict(True)
    return Verdict(False, _("The gradient of the router's weight is wrong."))


CHECKS = {
    "3.3": Check(
        exercise="3.3",
        solution="sparrow.model.moe:gate",
        groups={CHOSEN: 0.35, OPEN: 0.2, COUNTS: 0.3, LEARNS: 0.15},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="routed",
    )
}
