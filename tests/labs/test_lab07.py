"""The checks of lab 07 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparrow.rl import Whole, advantage, rollout, shares, surrogate
from tests.labs import harness
from tests.labs.harness import Left, Mutant, patched

Function = Callable[..., Any]
GROUP = "sparrow.rl.advantage:group_advantage"
CLIP = "sparrow.rl.surrogate:clipped_surrogate"
K3 = "sparrow.rl.surrogate:k3_kl"
SHARE = "sparrow.rl.shares:aggregate"
SIGNAL = "sparrow.rl.rollout:with_signal"
BUILT = ("7.2", "7.3", "7.4", "7.5", "7.6")


# ---- 7.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "50", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
]
RIGHT_GUESSES = [50, 0.5]


# ---- 7.2: advantages ----

WRONG_ADVANTAGES = [
    Mutant(
        "one mean for all",
        patched(GROUP, "reward.mean(dim=1, keepdim=True)", "reward.mean()"),
        "the mean of all groups",
    ),
    Mutant(
        "down instead of along",
        patched(GROUP, "dim=1", "dim=0"),
        "over the answers of a question",
    ),
    Mutant(
        "no mean",
        patched(GROUP, "reward - reward.mean(dim=1, keepdim=True)", "reward"),
        "take off what the group earns",
    ),
    Mutant("never divided", patched(GROUP, "if scale:", "if False:"), "scale is True"),
    Mutant("always divided", patched(GROUP, "if scale:", "if True:"), "scale is False"),
    Mutant(
        "divided by G",
        patched(
            GROUP,
            "keepdim=True)\n        advantage",
            "keepdim=True, correction=0)\n        advantage",
        ),
        "not by G",
        earns=0.6,
    ),
    Mutant(
        "nothing added",
        patched(GROUP, "spread + SPREAD_FLOOR", "spread"),
        "Add 0.0001",
        earns=0.6,
    ),
    Mutant(
        "square of the spread",
        patched(GROUP, "reward.std", "reward.var"),
        "not by its square",
        earns=0.6,
    ),
    Mutant(
        "one spread for all",
        patched(GROUP, "reward.std(dim=1, keepdim=True)", "reward.std()"),
        "the spread of all groups",
        earns=0.6,
    ),
    Mutant(
        "the worse, the better",
        lambda reward, scale=True: -advantage.group_advantage(reward, scale=scale),
        "The sign is wrong",
        earns=0.25,
    ),
    Mutant(
        "best of the group",
        patched(GROUP, "reward.mean(dim=1", "reward.amax(dim=1"),
        "this is the best of it",
        earns=0.25,
    ),
    Mutant(
        "nearly nothing",
        patched(GROUP, "advantage.masked_fill(equal, 0.0)", "advantage"),
        "not exactly 0",
        earns=0.75,
    ),
    Mutant("prints instead", lambda reward, scale=True: None, "return missing", 0),
]


def advantage_by_groups(reward: Tensor, *, scale: bool = True) -> Tensor:
    """One group after the other, with sums."""
    found = torch.zeros_like(reward)
    for row, group in enumerate(reward):
        if len(set(group.tolist())) == 1:
            continue
        away = group - group.sum() / len(group)
        spread = ((away**2).sum() / (len(group) - 1)).sqrt() + 1e-4
        found[row] = away / spread if scale else away
    return found


def advantage_by_where(reward: Tensor, *, scale: bool = True) -> Tensor:
    """Statistics in one call; differences to the first decide what is equal."""
    spread, mean = torch.std_mean(reward, dim=-1, keepdim=True)
    away = (reward - mean) / (spread + 0.0001) ** int(scale)
    differs = (reward != reward[:, :1]).any(-1, keepdim=True)
    return torch.where(differs, away, 0.0)


# ---- 7.3: clipping ----

WRONG_CLIPS = [
    Mutant("a gain", patched(CLIP, "return -", "return "), "minus is missing", 0),
    Mutant("a logarithm", patched(CLIP, "change.exp()", "change"), "its exponential"),
    Mutant(
        "turned round", patched(CLIP, "change.exp()", "(-change).exp()"), "turned round"
    ),
    Mutant(
        "down instead of along",
        patched(CLIP, "advantages[:, None]", "advantages"),
        "along the row",
    ),
    Mutant(
        "not clipped",
        patched(CLIP, "ratio.clamp(1 - clip_low, 1 + clip_high)", "ratio"),
        "Nothing is clipped",
        earns=0.3,
    ),
    Mutant(
        "no minimum",
        patched(
            CLIP,
            "torch.minimum(ratio * advantage, clipped * advantage)",
            "clipped * advantage",
        ),
        "Only the clipped gain",
        earns=0.3,
    ),
    Mutant(
        "the larger gain",
        patched(CLIP, "torch.minimum", "torch.maximum"),
        "take the smaller one",
        earns=0.3,
    ),
    Mutant(
        "the smaller ratio",
        patched(
            CLIP,
            "torch.minimum(ratio * advantage, clipped * advantage)",
            "torch.minimum(ratio, clipped) * advantage",
        ),
        "the advantage has a sign",
        earns=0.3,
    ),
    Mutant(
        "low twice", patched(CLIP, "1 + clip_high", "1 + clip_low"), "upper one", 0.3
    ),
    Mutant(
        "high twice", patched(CLIP, "1 - clip_low", "1 - clip_high"), "lower one", 0.3
    ),
    Mutant(
        "swapped",
        patched(CLIP, "1 - clip_low, 1 + clip_high", "1 - clip_high, 1 + clip_low"),
        "swapped",
        earns=0.3,
    ),
    Mutant("no lower bound", patched(CLIP, "1 - clip_low", "0"), "lower bound is", 0.3),
    Mutant(
        "no upper bound",
        patched(CLIP, "1 + clip_high", "float('inf')"),
        "upper bound is",
        earns=0.3,
    ),
    Mutant(
        "nothing learns",
        patched(CLIP, "change.exp()", "change.exp().detach()"),
        "nothing can learn",
        earns=0.75,
    ),
    Mutant(
        "learns through the clipped one only",
        patched(CLIP, "torch.minimum(ratio *", "torch.minimum(ratio.detach() *"),
        "its gradient is not",
        earns=0.75,
    ),
    Mutant(
        "one number",
        patched(CLIP, "clipped * advantage)", "clipped * advantage).mean()"),
        "shape",
        0,
    ),
]


def clip_by_sign(
    change: Tensor, advantages: Tensor, *, clip_low: float, clip_high: float
) -> Tensor:
    """Good answers have an upper bound, bad ones a lower bound; never both."""
    ratio = torch.exp(change)
    good = ratio.clamp(max=1 + clip_high)
    bad = ratio.clamp(min=1 - clip_low)
    a = advantages.unsqueeze(-1)
    return -torch.where(a >= 0, good, bad) * a


def clip_by_maximum(
    change: Tensor, advantages: Tensor, *, clip_low: float, clip_high: float
) -> Tensor:
    """The larger of two losses; bounds as logarithms."""
    low, high = math.log(1 - clip_low), math.log(1 + clip_high)
    held = torch.clip(change, low, high).exp()
    both = torch.stack([torch.exp(change), held]) * -advantages.view(1, -1, 1)
    return both.amax(dim=0) if not change.requires_grad else torch.max(*both)


# ---- 7.4: the distance ----

WRONG_DISTANCES = [
    Mutant(
        "turned round",
        patched(K3, "ref_logprobs - logprobs", "logprobs - ref_logprobs"),
        "reference over the policy",
    ),
    Mutant("k1", lambda logprobs, ref_logprobs: logprobs - ref_logprobs, "plain"),
    Mutant(
        "k1 with the wrong sign",
        lambda logprobs, ref_logprobs: ref_logprobs - logprobs,
        "its sign is wrong",
    ),
    Mutant(
        "k2",
        lambda logprobs, ref_logprobs: (ref_logprobs - logprobs) ** 2 / 2,
        "k2, not k3",
    ),
    Mutant("no one", patched(K3, " - 1", ""), "the 1 is missing", earns=0),
    Mutant(
        "no logarithm", patched(K3, "- change - 1", "- 1"), "logarithm of the ratio"
    ),
    Mutant("added", patched(K3, "- change - 1", "+ change - 1"), "take it off"),
    Mutant(
        "absolute",
        lambda logprobs, ref_logprobs: (ref_logprobs - logprobs).abs(),
        "no abs",
    ),
    Mutant(
        "one mean",
        patched(K3, "change.exp() - change - 1", "(change.exp() - change - 1).mean()"),
        "shape",
    ),
    Mutant(
        "nothing learns",
        patched(K3, "- logprobs", "- logprobs.detach()"),
        "nothing can learn",
        earns=0.75,
    ),
    Mutant(
        "half learns",
        patched(K3, "change.exp()", "change.exp().detach()"),
        "its gradient is not",
        earns=0.75,
    ),
]


def k3_by_ratio(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """With probabilities; expm1 keeps the digits of small differences."""
    ratio = ref_logprobs.exp() / logprobs.exp()
    return ratio - 1 - ratio.log()


def k3_by_expm1(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """The difference the other way round, and expm1."""
    change = logprobs - ref_logprobs
    return torch.expm1(-change) + change


# ---- 7.5: who shares ----

WRONG_SHARES = [
    Mutant(
        "the mask is forgotten",
        patched(SHARE, "values.masked_fill(mask == 0, 0.0)", "values"),
        earns=0,
    ),
    Mutant(
        "the mean of everything",
        lambda values, mask, kind, whole=None: values.mean(),
        "use the mask",
    ),
    Mutant(
        "always by token",
        patched(SHARE, 'kind in ("grpo", "gspo")', "False"),
        "first the mean of each",
    ),
    Mutant(
        "always by answer",
        patched(SHARE, 'kind in ("grpo", "gspo")', "True"),
        "divide by the number of tokens",
    ),
    Mutant(
        "gspo by token",
        patched(SHARE, '("grpo", "gspo")', '("grpo",)'),
        "first the mean of each",
    ),
    Mutant(
        "cispo by answer",
        patched(SHARE, '("grpo", "gspo")', '("grpo", "gspo", "cispo")'),
        "divide by the number of tokens",
    ),
    Mutant(
        "dr_grpo by token",
        patched(SHARE, 'kind == "dr_grpo"', "False"),
        "divides by tokens",
    ),
    Mutant(
        "dapo by place",
        patched(SHARE, 'kind == "dr_grpo"', "True"),
        "as dr_grpo does",
    ),
    Mutant(
        "the length is forgotten",
        patched(SHARE, " * whole.length", ""),
        "the length is missing",
    ),
    Mutant(
        "empty answers left out",
        patched(
            SHARE,
            ".sum() / whole.sequences",
            ".sum() / max(int((mask.sum(1) > 0).sum()), 1)",
        ),
        "still counts",
    ),
    Mutant(
        "nothing divided by nothing",
        patched(SHARE, ".clamp(min=1)", ""),
        "NaN",
    ),
    Mutant(
        "the whole is ignored",
        patched(SHARE, "whole or Whole.of(mask)", "Whole.of(mask)"),
        "not your part's",
        earns=0.75,
    ),
    Mutant(
        "one for each answer",
        lambda values, mask, kind, whole=None: (values * mask).sum(1),
        "shape",
        earns=0,
    ),
    Mutant(
        "a number, no tensor",
        lambda values, mask, **others: shares.aggregate(values, mask, **others).item(),
        "where a tensor is needed",
        earns=0,
    ),
]


def shares_by_weights(
    values: Tensor, mask: Tensor, *, kind: str, whole: Whole | None = None
) -> Tensor:
    """One weight for every token, and one sum at the end."""
    whole = Whole.of(mask) if whole is None else whole
    lengths = mask.sum(1, keepdim=True)
    if kind.startswith("g"):
        weight = 1 / lengths.clamp(min=1) / whole.sequences
    elif kind == "dr_grpo":
        weight = torch.tensor(1 / whole.sequences / whole.length)
    else:
        weight = torch.tensor(1 / max(1, whole.tokens))
    return (values * mask * weight).sum()


def shares_by_rows(
    values: Tensor, mask: Tensor, *, kind: str, whole: Whole | None = None
) -> Tensor:
    """Answer by answer, with the tokens that count cut out."""
    rows = [row[here.bool()] for row, here in zip(values, mask, strict=True)]
    sequences = whole.sequences if whole else len(rows)
    if kind in {"grpo", "gspo"}:
        return sum((row.mean() for row in rows if len(row)), values.new_zeros(())) / (
            sequences
        )
    tokens = whole.tokens if whole else sum(map(len, rows))
    places = sequences * (whole.length if whole else values.shape[1])
    return torch.cat(rows).sum() / (places if kind == "dr_grpo" else max(tokens, 1))


# ---- 7.6: groups with signal ----

WRONG_SIGNALS = [
    Mutant("turned round", lambda reward: reward.amax(1) == reward.amin(1), "round"),
    Mutant("some right", lambda reward: reward.amax(1) > 0, "are right teach"),
    Mutant("some wrong", lambda reward: reward.amin(1) < 1, "no answer is right"),
    Mutant("first and last", lambda reward: reward[:, 0] != reward[:, -1], "the last"),
    Mutant(
        "mean between 0 and 1",
        lambda reward: (reward.mean(1) > 0) & (reward.mean(1) < 1),
        "other numbers than 0 and 1",
        earns=0.6,
    ),
    Mutant("numbers", lambda reward: (reward.std(1) > 0).float(), "True and False"),
    Mutant("a column", lambda reward: reward.amax(0) != reward.amin(0), earns=None),
    Mutant(
        "everything", lambda reward: torch.ones(len(reward), dtype=torch.bool), "kept"
    ),
    Mutant(
        "an axis too many",
        lambda reward: reward.amax(1, True) != reward.amin(1, True),
        "shape",
        earns=0,
    ),
    Mutant("which, not whether", lambda reward: [0], "list", 0),
]


def signal_by_first(reward: Tensor) -> Tensor:
    """Every answer beside the first one."""
    return (reward != reward[:, [0]]).any(dim=1)


def signal_by_sets(reward: Tensor) -> Tensor:
    """How many different reward are in each group?"""
    return torch.tensor([len(set(row)) > 1 for row in reward.tolist()])


# ---- 7.7: the file that the lab leaves ----


def left(claim: Any = None, **changes: Any) -> Left:
    """What the driver would tell of a good file, with some changes."""
    before = [True] * 60 + [False] * 140
    after = [True] * 50 + [False] * 10 + [True] * 60 + [False] * 80
    told = {"before": before, "after": after} | changes.pop("solved", {})
    log = {"rewards": [0.3] * 60, "recipe": {"seed": 2026}}
    claim = GOOD if claim is None else claim
    return Left({**log, "solved": told, "claim": claim, **changes})


# 60 gained and 10 lost of 200
GAIN = 0.25
DEVIATION = ((70 - 200 * GAIN**2) / 199) ** 0.5
HALF = 1.96 * DEVIATION / 200**0.5
GOOD = {"gain": GAIN, "low": GAIN - HALF, "high": GAIN + HALF}


def claimed(half: float, gain: float = GAIN, middle: float | None = None) -> Left:
    middle = gain if middle is None else middle
    return left({"gain": gain, "low": middle - half, "high": middle + half})


WRONG_LEFT = [
    Mutant("too short", left(rewards=[0.3] * 9), "9 steps", 0.7),
    Mutant("no log", left(rewards=None), "no log", 0.7),
    Mutant("text as a reward", left(rewards=["x"] * 60), "no number", 0.7),
    Mutant("endless rewards", left(rewards=[math.inf] * 60), "no number", 0.7),
    Mutant("no seed", left(recipe={}), "no seed", 0.7),
    Mutant(
        "no gain", left(solved={"after": [True] * 62 + [False] * 138}), "holds 0", 0.3
    ),
    Mutant("worse", left(solved={"after": [False] * 200}), "holds 0", 0.3),
    Mutant("not claimed", left({}), "gain must be a number; got None", 0.3),
    Mutant("untouched", left({**GOOD, "low": None}), "low must be", 0.3),
    Mutant("NaN", left({**GOOD, "gain": math.nan}), "got nan", 0.3),
    Mutant("invented", claimed(HALF, 0.4), "asked again here", 0.3),
    Mutant("before minus after", claimed(HALF, -GAIN), "wrong sign", 0.3),
    Mutant("in points", claimed(100 * HALF, 100 * GAIN), "is a share", 0.3),
    Mutant("one deviation", claimed(DEVIATION), "one standard deviation", 0.3),
    Mutant("one error", claimed(HALF / 1.96), "times 1.96", 0.3),
    Mutant("no root", claimed(1.96 * DEVIATION), "root of the number of", 0.3),
    Mutant("divided by n", claimed(HALF / 200**0.5), "not by the number", 0.3),
    Mutant(
        "as if two groups of problems",
        claimed(1.96 * ((0.3 * 0.7 + 0.55 * 0.45) / 200) ** 0.5),
        "asked twice",
        0.3,
    ),
    Mutant("twice as wide", claimed(2 * HALF), "twice as far", 0.3),
    Mutant("beside the gain", claimed(HALF, middle=0.3), "in the middle", 0.3),
]
RIGHT_LEFT = [left(), claimed(HALF * 1.03, 0.26), claimed(HALF * 0.97, 0.24)]


EXERCISES = {
    "7.1": harness.Exercise(wrong=WRONG_GUESSES, right=RIGHT_GUESSES),
    "7.2": harness.Exercise(
        wrong=WRONG_ADVANTAGES,
        right=[advantage.group_advantage, advantage_by_groups, advantage_by_where],
    ),
    "7.3": harness.Exercise(
        wrong=WRONG_CLIPS,
        right=[surrogate.clipped_surrogate, clip_by_sign, clip_by_maximum],
    ),
    "7.4": harness.Exercise(
        wrong=WRONG_DISTANCES, right=[surrogate.k3_kl, k3_by_ratio, k3_by_expm1]
    ),
    "7.5": harness.Exercise(
        wrong=WRONG_SHARES, right=[shares.aggregate, shares_by_weights, shares_by_rows]
    ),
    "7.6": harness.Exercise(
        wrong=WRONG_SIGNALS,
        right=[rollout.with_signal, signal_by_first, signal_by_sets],
    ),
    "7.7": harness.Exercise(WRONG_LEFT, RIGHT_LEFT),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


def test_without_the_file_nothing_is_earned(tmp_path: Path) -> None:
    harness.refuse_without_file("7.7", tmp_path)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab07

    assert set(EXERCISES) == set(lab07.CHECKS)


@pytest.mark.parametrize("exercise", BUILT)
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("masked_fill(", "clamp(", ".exp()", "amax(", "minimum(")
    for exercise in BUILT:
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
