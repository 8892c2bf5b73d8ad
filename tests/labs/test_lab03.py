"""The checks of lab 03 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.model import moe
from sparrow.train import loss
from tests.labs import harness
from tests.labs.harness import Mutant, patched

Function = Callable[..., Any]
GATE = "sparrow.model.moe:gate"
UPDATE = "sparrow.model.moe:update_bias"
BALANCE = "sparrow.model.moe:sequence_balance_loss"
MTP = "sparrow.train.loss:mtp_loss"
BUILT = {
    "3.3": moe.gate,
    "3.4": moe.update_bias,
    "3.5": moe.sequence_balance_loss,
    "3.6": loss.mtp_loss,
}


# ---- 3.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "3", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
    Mutant("yes", True, "one number of times"),
]
RIGHT_GUESSES = [1.5, 4]


# ---- 3.2: an example that breaks the short cut ----


def example(scores: Any = (0.9, 0.2, 0.1, 0.1), bias: Any = (0, -0.5, 0, 0)) -> Any:
    return {"scores": list(scores), "bias": list(bias)}


WRONG_EXAMPLES = [
    Mutant("untouched", example((0.9, 0.8, 0.2, 0.1), (0, 0, 0, 0)), "negative bias"),
    Mutant("positive bias", example(bias=(0.1, 0.5, 0, 0)), "negative bias", 0.25),
    Mutant(
        "negative in the closed group",
        example((0.9, 0.8, 0.2, 0.1), (0, 0, -0.5, 0)),
        "stays open",
        0.25,
    ),
    Mutant(
        "not negative enough", example(bias=(0, -0.1, 0, 0)), "not below 0", earns=0.25
    ),
    Mutant("equal groups", example((0.5, 0.5, 0.5, 0.5), (0, 0, 0, 0)), "equally", 0),
    Mutant("a score above one", example((1.5, 0.2, 0.1, 0.1)), "between 0 and 1", 0),
    Mutant("three experts", example((0.9, 0.2, 0.1)), "four numbers", 0),
    Mutant("a list", [0.9, 0.2, 0.1, 0.1], "dictionary", 0),
    Mutant("no bias", {"scores": [0.9, 0.2, 0.1, 0.1]}, "exactly these names", 0),
    Mutant("text", example(bias=("0", -0.5, 0, 0)), "got str", 0),
]
RIGHT_EXAMPLES = [
    example(),
    example((0.1, 0.3, 0.2, 0.95), (-0.9, -0.9, -0.6, 0.2)),
    example((0.3, 0.2, 0.1, 0.1), (-0.5, -0.5, -0.9, -0.9)),
]


# ---- 3.3: the gate ----

WRONG_GATES = [
    Mutant(
        "the bias is in the weights",
        patched(GATE, "weights = scores", "weights = (scores + bias)"),
        "the choice alone",
        earns=0.55,
    ),
    Mutant(
        "no bias", patched(GATE, "scores + bias", "scores"), "does not move the choice"
    ),
    Mutant("bias taken off", patched(GATE, "scores + bias", "scores - bias"), "add it"),
    Mutant(
        "bias before the sigmoid",
        patched(
            GATE,
            "limit_groups(scores + bias",
            "limit_groups((scores.logit() + bias).sigmoid()",
        ),
        "after the sigmoid",
    ),
    Mutant(
        "groups forgotten",
        patched(
            GATE,
            "limit_groups(scores + bias, config.n_group, config.topk_group)",
            "scores + bias",
        ),
        "see `limit_groups`",
        earns=0.8,
    ),
    Mutant(
        "closed groups are zero",
        patched(
            GATE,
            "limit_groups(scores + bias, config.n_group, config.topk_group)",
            "limit_groups(scores + bias, config.n_group, config.topk_group)"
            ".clamp(min=-9).add(9).sub(9).masked_fill(limit_groups(scores + bias, "
            "config.n_group, config.topk_group).isinf(), 0)",
        ),
        "wins against a negative score",
        earns=0.8,
    ),
    Mutant(
        "groups judged without the bias",
        patched(
            GATE,
            "limit_groups(scores + bias, config.n_group, config.topk_group)",
            "(scores + bias).masked_fill(limit_groups(scores, config.n_group, "
            "config.topk_group).isinf(), float('-inf'))",
        ),
        "with the bias, too",
        earns=0.8,
    ),
    Mutant(
        "the worst experts",
        patched(
            GATE, "dim=-1, sorted=False).indices", "dim=-1, largest=False).indices"
        ),
    ),
    Mutant(
        "softmax instead of sigmoid",
        patched(GATE, ".sigmoid()", ".softmax(dim=-1)"),
        "sigmoids",
    ),
    Mutant("no sigmoid", patched(GATE, ".sigmoid()", ""), "sigmoids"),
    Mutant(
        "not normalised",
        patched(GATE, "if config.norm_topk_prob:", "if False:"),
        "sum to 1",
    ),
    Mutant(
        "always normalised",
        patched(GATE, "if config.norm_topk_prob:", "if True:"),
        "False here",
        earns=0.7,
    ),
    Mutant(
        "not scaled",
        patched(GATE, "weights * config.routed_scaling_factor", "weights"),
        "not scaled",
    ),
    Mutant(
        "divided by all scores",
        patched(GATE, "weights.sum(dim=-1", "scores.sum(dim=-1"),
        "not over all",
    ),
    Mutant(
        "scores with the bias",
        patched(
            GATE,
            "* config.routed_scaling_factor, scores)",
            "* config.routed_scaling_factor, scores + bias)",
        ),
        "without the bias",
    ),
    Mutant(
        "half precision",
        patched(
            GATE, "F.linear(hidden.float(), weight.float())", "(hidden @ weight.T)"
        ),
        "bfloat16",
        earns=0.65,
    ),
    Mutant(
        "nothing learns",
        patched(GATE, "weights = scores.gather", "weights = scores.detach().gather"),
        "never learn",
        earns=0.85,
    ),
    Mutant(
        "learns through the bias",
        patched(
            GATE,
            "scores.gather(-1, experts)",
            "(scores + bias - bias.detach()).gather(-1, experts)",
        ),
        "reaches the bias",
        earns=0.85,
    ),
    Mutant(
        "one expert too few",
        patched(GATE, "config.num_experts_per_tok", "max(1, config.n_group)"),
    ),
    Mutant("the choice only", lambda **given: moe.gate(**given).experts, "a tensor"),
    Mutant(
        "one expert twice",
        patched(
            GATE,
            "sorted=False).indices",
            "sorted=False).indices[:, :1].expand(-1, config.num_experts_per_tok)",
        ),
        "twice",
    ),
]


def gate_by_sorting(
    hidden: Tensor, weight: Tensor, bias: Tensor, config: Any
) -> moe.Routing:
    """Sort instead of topk, groups by reshape, experts in the order of their number."""
    scores = 1 / (1 + torch.exp(-(hidden.float() @ weight.float().T)))
    pushed = scores + bias
    tokens, experts = scores.shape
    grouped = pushed.reshape(tokens, config.n_group, experts // config.n_group)
    judged = grouped.sort(dim=-1, descending=True).values[:, :, :2].sum(dim=-1)
    least = judged.sort(dim=-1, descending=True).values[:, config.topk_group - 1]
    is_open = (judged >= least[:, None]).repeat_interleave(grouped.shape[-1], dim=1)
    pushed = torch.where(is_open, pushed, torch.full_like(pushed, -math.inf))
    order = pushed.argsort(dim=-1, descending=True)[:, : config.num_experts_per_tok]
    chosen = order.sort(dim=-1).values
    weights = torch.gather(scores, 1, chosen)
    if config.norm_topk_prob:
        weights = F.normalize(weights, p=1, dim=-1)
    return moe.Routing(chosen, config.routed_scaling_factor * weights, scores)


def gate_token_by_token(
    hidden: Tensor, weight: Tensor, bias: Tensor, config: Any
) -> moe.Routing:
    """One token after the other; the weights come from a mask over all experts."""
    scores = torch.stack([(weight.float() @ row.float()).sigmoid() for row in hidden])
    chosen = []
    for row in scores:
        choice = moe.limit_groups((row + bias)[None], config.n_group, config.topk_group)
        chosen.append(choice[0].argsort()[-config.num_experts_per_tok :])
    experts = torch.stack(chosen)
    mask = torch.zeros_like(scores).scatter(1, experts, 1.0)
    share = scores * mask
    if config.norm_topk_prob:
        share = share / share.sum(1, keepdim=True)
    weights = (share * config.routed_scaling_factor).gather(1, experts)
    return moe.Routing(experts, weights, scores)


# ---- 3.4: the bias ----

WRONG_UPDATES = [
    Mutant("sign", patched(UPDATE, "bias + speed", "bias - speed"), "sign is wrong", 0),
    Mutant("not fixed", patched(UPDATE, ".sign()", ""), "fixed size", earns=0),
    Mutant("forgets", patched(UPDATE, "bias + speed", "speed"), "old bias is gone", 0),
    Mutant("no speed", patched(UPDATE, "speed * ", ""), "without the speed", earns=0),
    Mutant(
        "share of the mean",
        patched(UPDATE, "shortfall.sign()", "shortfall / load.float().mean()"),
        "no share of the mean",
    ),
    Mutant(
        "median",
        patched(UPDATE, "load.float().mean()", "load.float().median()"),
        "median",
    ),
    Mutant(
        "fair ones rise",
        lambda bias, load, speed: torch.where(
            load > load.float().mean(), bias - speed, bias + speed
        ),
        "exactly its share",
        earns=0.7,
    ),
    Mutant(
        "fair ones fall",
        lambda bias, load, speed: torch.where(
            load < load.float().mean(), bias + speed, bias - speed
        ),
        "exactly its share",
        earns=0.7,
    ),
    Mutant(
        "idle ones only",
        patched(UPDATE, "shortfall.sign()", "(shortfall > 0).float()"),
        "busy ones need",
    ),
    Mutant("does nothing", lambda bias, load, speed: bias, "did not move", earns=0),
    Mutant(
        "whole numbers have no mean",
        patched(UPDATE, "load.float().mean()", "load.mean()"),
        "stopped in line",
        earns=0,
    ),
    Mutant("prints instead", lambda bias, load, speed: None, "return missing", 0),
]


def update_by_cases(bias: Tensor, load: Tensor, speed: float) -> Tensor:
    """One expert after the other."""
    fair = load.sum() / len(load)
    steps = [speed if each < fair else -speed if each > fair else 0.0 for each in load]
    return bias + torch.tensor(steps)


def update_in_place(bias: Tensor, load: Tensor, speed: float) -> Tensor:
    """Compare sums, so that no mean is needed; change the bias where it lies."""
    bias -= speed * torch.sign(load * len(load) - load.sum())
    return bias


# ---- 3.5: the balance loss ----

WRONG_BALANCES = [
    Mutant(
        "all sequences as one",
        patched(BALANCE, "(batch, -1)", "(1, -1)"),
        "its own f and P",
        earns=0.4,
    ),
    Mutant(
        "sequences summed",
        patched(BALANCE, ".sum(dim=-1).mean()", ".sum()"),
        "take their mean",
        earns=0.4,
    ),
    Mutant(
        "experts averaged",
        patched(BALANCE, ".sum(dim=-1).mean()", ".mean()"),
        "number of experts is missing",
        earns=0,
    ),
    Mutant(
        "chosen not divided",
        patched(BALANCE, " / chosen", ""),
        "number of chosen experts",
    ),
    Mutant(
        "experts not multiplied",
        patched(BALANCE, "* experts_total / chosen", "/ chosen"),
        "number of experts is missing",
        earns=0,
    ),
    Mutant(
        "share of tokens",
        patched(BALANCE, "share_chosen * experts_total / chosen", "share_chosen"),
        "plain share of tokens",
        earns=0,
    ),
    Mutant(
        "counts, not shares",
        patched(
            BALANCE, "(batch, -1)).float().mean(dim=1)", "(batch, -1)).float().sum(1)"
        ),
        "length of the sequence",
    ),
    Mutant(
        "scores not normalised",
        patched(
            BALANCE,
            "routing.scores / (routing.scores.sum(dim=-1, keepdim=True) + TINY)",
            "routing.scores",
        ),
        "not normalised",
        earns=0,
    ),
    Mutant(
        "softmax",
        patched(
            BALANCE,
            "routing.scores / (routing.scores.sum(dim=-1, keepdim=True) + TINY)",
            "routing.scores.softmax(-1)",
        ),
        "softmax",
        earns=0,
    ),
    Mutant(
        "token by token",
        lambda routing, batch, config: (
            (
                F.one_hot(routing.experts, config.n_routed_experts).sum(1)
                * config.n_routed_experts
                / config.num_experts_per_tok
                * F.normalize(routing.scores, p=1, dim=-1)
            )
            .sum(-1)
            .mean()
        ),
        "not token by token",
    ),
    Mutant(
        "no mean over sequences",
        patched(BALANCE, ".sum(dim=-1).mean()", ".sum(dim=-1)"),
        "shape",
        earns=0,
    ),
    Mutant(
        "nothing learns",
        patched(BALANCE, "* probability)", "* probability.detach())"),
        "Nothing can learn",
        earns=0.8,
    ),
    Mutant(
        "a number, no tensor",
        lambda **given: moe.sequence_balance_loss(**given).item(),
        "where a tensor is needed",
    ),
]


def balance_by_sequences(routing: moe.Routing, batch: int, config: Any) -> Tensor:
    """One sequence after the other; frequencies by bincount."""
    total, chosen = config.n_routed_experts, config.num_experts_per_tok
    losses = []
    for experts, scores in zip(
        routing.experts.chunk(batch), routing.scores.chunk(batch), strict=True
    ):
        count = torch.bincount(experts.flatten(), minlength=total)
        f = count * total / (chosen * len(experts))
        p = (scores / scores.sum(1, keepdim=True)).mean(0)
        losses.append(f @ p)
    return sum(losses[1:], losses[0]) / batch


def balance_by_einsum(routing: moe.Routing, batch: int, config: Any) -> Tensor:
    """A mask by scatter, and one product over everything."""
    mask = torch.zeros_like(routing.scores).scatter(1, routing.experts, 1.0)
    mask = mask.view(batch, -1, config.n_routed_experts)
    share = F.normalize(routing.scores, p=1, dim=-1).view_as(mask)
    tokens = mask.shape[1]
    found = torch.einsum("bte,bse->b", mask, share) / tokens**2
    return found.mean() * config.n_routed_experts / config.num_experts_per_tok


# ---- 3.6: multi-token prediction ----

WRONG_MTPS = [
    Mutant(
        "the next token",
        patched(MTP, "further_targets(targets, depth)", "targets[:, :-depth]"),
        "one token further",
        earns=0,
    ),
    Mutant(
        "over the end of a document",
        patched(MTP, "further_targets(targets, depth)", "targets[:, depth:]"),
        "Across the end",
    ),
    Mutant(
        "rolled",
        patched(
            MTP,
            "further_targets(targets, depth)",
            "targets.roll(-depth, 1)[:, 1:][:, :logits.shape[1]]",
        ),
    ),
    Mutant(
        "every module the same",
        patched(
            MTP,
            "further_targets(targets, depth)",
            "further_targets(targets, 1)[:, : logits.shape[1]]",
        ),
        "the second looks further",
        earns=0.75,
    ),
    Mutant(
        "its own count",
        patched(MTP, ", count)", ")"),
        "for every module",
        earns=0,
    ),
    Mutant(
        "the count is ignored",
        patched(MTP, "if count is None:", "if True:"),
        "The count is given",
        earns=0.85,
    ),
    Mutant(
        "all places count",
        patched(MTP, "int((targets != IGNORED).sum())", "targets.numel()"),
        "some places have none",
        earns=0.5,
    ),
    Mutant(
        "modules summed",
        patched(MTP, ".mean()", ".sum()"),
        "take their mean",
        earns=0.75,
    ),
    Mutant(
        "first module only",
        patched(MTP, "enumerate(predictions,", "enumerate(predictions[:1],"),
        "Only the first",
        earns=0.75,
    ),
    Mutant(
        "no mean at all", patched(MTP, "torch.stack(losses).mean()", "losses"), "list"
    ),
    Mutant(
        "counted from zero",
        patched(MTP, "start=1", "start=0"),
        earns=0,
    ),
    Mutant(
        "the sum of all places",
        patched(MTP, ", count)", ", 1)"),
        "divide it by the count",
        earns=0,
    ),
]


def mtp_by_places(
    predictions: Any, targets: Tensor, count: int | None = None
) -> Tensor:
    """Place by place, with logarithms of probabilities."""
    rows, tokens = targets.shape
    if count is None:
        count = sum(int(each) != -100 for each in targets.flatten())
    total = torch.zeros(())
    for depth, logits in enumerate(predictions, start=1):
        chances = logits.log_softmax(-1)
        for row in range(rows):
            for place in range(tokens - depth):
                way = targets[row, place : place + depth + 1].tolist()
                if -100 not in way:
                    total = total - chances[row, place, way[-1]]
    return total / count / len(predictions)


def mtp_by_masks(predictions: Any, targets: Tensor, count: int | None = None) -> Tensor:
    """Mask the targets step by step: what a module may not predict stays ignored."""
    count = count or int(targets.ne(-100).sum())
    current, found = targets, []
    for logits in predictions:
        current = current[:, 1:].masked_fill(
            targets[:, : current.shape[1] - 1] == -100, -100
        )
        here = current.clone()
        for back in range(1, targets.shape[1] - current.shape[1]):
            here[targets[:, back : back + here.shape[1]] == -100] = -100
        found.append(
            F.cross_entropy(logits.transpose(1, 2), here, reduction="sum") / count
        )
    return sum(found[1:], found[0]) / len(found)


# ---- 3.7: measured imbalance ----


def loads(model: Any, ids: Tensor, minlength: int | None = None) -> list[Tensor]:
    with torch.inference_mode():
        model(ids)
    least = model.config.n_routed_experts if minlength is None else minlength
    return [
        torch.bincount(each.experts.flatten(), minlength=least)
        for each in model.routings()
    ]


def measured(
    formula: Function = lambda load, ids: float(
        (load.max() - load.mean()) / load.mean()
    ),
    minlength: int | None = None,
) -> Function:
    def max_violations(model: Any, ids: Tensor) -> list[float]:
        return [formula(each.float(), ids) for each in loads(model, ids, minlength)]

    return max_violations


WRONG_MEASURES = [
    Mutant("no minlength", measured(minlength=0), "minlength"),
    Mutant(
        "idle experts forgotten",
        measured(lambda load, ids: float(load.max() / load[load > 0].mean() - 1)),
        "without work",
    ),
    Mutant(
        "one too many",
        measured(lambda load, ids: float(load.max() / load.mean())),
        "taken off",
        earns=0,
    ),
    Mutant(
        "over the largest",
        measured(lambda load, ids: float(1 - load.mean() / load.max())),
        "not by the largest",
    ),
    Mutant(
        "not divided",
        measured(lambda load, ids: float(load.max() - load.mean())),
        "these are tokens",
    ),
    Mutant("share of all", measured(lambda load, ids: float(load.max() / load.sum()))),
    Mutant(
        "the number chosen is forgotten",
        measured(lambda load, ids: float(load.max() * len(load) / ids.numel() - 1)),
        "several experts",
    ),
    Mutant(
        "the idlest",
        measured(lambda load, ids: float(1 - load.min() / load.mean())),
        "take the busiest",
    ),
    Mutant("one layer", lambda model, ids: measured()(model, ids)[:1], "parts", 0),
    Mutant(
        "one mean",
        lambda model, ids: sum(measured()(model, ids)) / 2,
        "one for each layer",
        earns=0,
    ),
    Mutant("prints instead", lambda model, ids: None, "return missing", earns=0),
]


def by_the_library(model: Any, ids: Tensor) -> Tensor:
    """All layers at once; a tensor instead of a list."""
    return moe.max_violation(torch.stack(loads(model, ids)))


def by_counting(model: Any, ids: Tensor) -> list[Tensor]:
    """Compare with every expert's number; no inference mode; tensors in a list."""
    model(ids)
    found = []
    for routing in model.routings():
        total = routing.scores.shape[1]
        load = (routing.experts[..., None] == torch.arange(total)).sum((0, 1))
        found.append(load.max() * total / load.sum() - 1)
    return found


EXERCISES = {
    "3.1": harness.Exercise(wrong=WRONG_GUESSES, right=RIGHT_GUESSES),
    "3.2": harness.Exercise(wrong=WRONG_EXAMPLES, right=RIGHT_EXAMPLES),
    "3.3": harness.Exercise(
        wrong=WRONG_GATES, right=[moe.gate, gate_by_sorting, gate_token_by_token]
    ),
    "3.4": harness.Exercise(
        wrong=WRONG_UPDATES, right=[moe.update_bias, update_by_cases, update_in_place]
    ),
    "3.5": harness.Exercise(
        wrong=WRONG_BALANCES,
        right=[moe.sequence_balance_loss, balance_by_sequences, balance_by_einsum],
    ),
    "3.6": harness.Exercise(
        wrong=WRONG_MTPS, right=[loss.mtp_loss, mtp_by_places, mtp_by_masks]
    ),
    "3.7": harness.Exercise(
        wrong=WRONG_MEASURES, right=[measured(), by_the_library, by_counting]
    ),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab03

    assert set(EXERCISES) == set(lab03.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("gather(", "one_hot(", ".sign()", "enumerate(")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)


def test_a_gate_that_another_library_wrote_is_accepted() -> None:
    """transformers' router, negative biases and groups included."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.deepseek_v3 import modeling_deepseek_v3

    def theirs(hidden: Tensor, weight: Tensor, bias: Tensor, config: Any) -> Any:
        told = transformers.DeepseekV3Config(
            hidden_size=config.hidden_size,
            n_routed_experts=config.n_routed_experts,
            num_experts_per_tok=config.num_experts_per_tok,
            n_group=config.n_group,
            topk_group=config.topk_group,
            norm_topk_prob=config.norm_topk_prob,
            routed_scaling_factor=config.routed_scaling_factor,
        )
        router = modeling_deepseek_v3.DeepseekV3TopkRouter(told)
        parameters = {"weight": weight, "e_score_correction_bias": bias}
        logits, weights, experts = torch.func.functional_call(
            router, parameters, (hidden,)
        )
        return moe.Routing(experts, weights, logits.sigmoid())

    harness.accept("3.3", theirs)
