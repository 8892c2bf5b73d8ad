"""Rewards become advantages, and advantages one step: numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparrow.errors import UsageError
from sparrow.rl import KINDS, Whole, group_advantage, policy_loss, shares, surrogate

LOG2 = math.log(2)
CLIPS = {"clip_low": 0.2, "clip_high": 0.28}


def close(got, want):
    want = torch.as_tensor(want, dtype=got.dtype)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)


def some_batch(seed=0, answers=6, tokens=7):
    """Log probabilities, older ones, advantages, and answers of every length."""
    draw = torch.Generator().manual_seed(seed)
    now = -torch.randn(answers, tokens, generator=draw, dtype=torch.float64).abs()
    old = now + 0.4 * torch.randn(now.shape, generator=draw, dtype=torch.float64)
    advantages = torch.randn(answers, generator=draw, dtype=torch.float64)
    lengths = torch.randint(0, tokens + 1, (answers, 1), generator=draw)
    return now, old, advantages, (torch.arange(tokens) < lengths).double()


def loss_of(batch, kind="grpo", **options):
    return policy_loss(*batch, kind=kind, **{**CLIPS, **options})


# --- advantages


def test_an_advantage_is_the_distance_from_the_mean_in_deviations():
    # mean 0.5; deviations ±0.5; squares add to 1; over G - 1 = 3: spread 0.57735
    spread = math.sqrt(1 / 3)
    each = 0.5 / (spread + 1e-4)
    close(group_advantage(torch.tensor([[1.0, 0, 0, 1]])), [[each, -each, -each, each]])


def test_without_scale_it_is_the_distance_alone():
    close(
        group_advantage(torch.tensor([[1.0, 0, 0, 1]]), scale=False),
        [[0.5, -0.5, -0.5, 0.5]],
    )


def test_each_group_is_judged_alone():
    reward = torch.tensor([[1.0, 0, 0], [5.0, 5, 8]])
    got = group_advantage(reward)
    for row in range(2):
        close(got[row], group_advantage(reward[row : row + 1])[0])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6, -0.3])
@pytest.mark.parametrize("scale", [True, False])
def test_a_group_without_differences_teaches_exactly_nothing(value, scale):
    got = group_advantage(torch.full((2, 7), value), scale=scale)
    assert torch.equal(got, torch.zeros(2, 7))


rewards = st.lists(
    st.lists(st.integers(-20, 20), min_size=3, max_size=3), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(rewards, st.integers(-50, 50), st.booleans())
def test_advantages_add_to_nothing_and_do_not_see_what_all_earn(reward, more, scale):
    reward = torch.tensor(reward, dtype=torch.float64) / 8
    got = group_advantage(reward, scale=scale)
    assert got.sum(dim=1).abs().max() < 1e-9
    close(group_advantage(reward + more, scale=scale), got)


@settings(max_examples=60, deadline=None)
@given(rewards)
def test_a_better_answer_never_has_the_smaller_advantage(reward):
    reward = torch.tensor(reward, dtype=torch.float64)
    got = group_advantage(reward)
    better = reward[:, :, None] > reward[:, None, :]
    assert (got[:, :, None] > got[:, None, :])[better].all()


@pytest.mark.parametrize(
    ("reward", "says"),
    [
        (torch.ones(3), "questions × answers; got (3,)"),
        (torch.ones(3, 1), "at least 2 answers, to compare them; got 1"),
        (torch.ones(3, 2, dtype=torch.long), "decimal numbers; got torch.int64"),
        (
            torch.tensor([[0.0, 1], [math.nan, 1]]),
            "answer 0 to question 1 is nan, no finite number",
        ),
        (torch.tensor([[0.0, math.inf]]), "answer 1 to question 0 is inf"),
    ],
)
def test_rewards_that_cannot_be_compared_are_refused_in_words(reward, says):
    with pytest.raises(UsageError) as caught:
        group_advantage(reward)
    assert says in str(caught.value)


# --- what each token brings


def test_a_token_twice_as_likely_has_a_log_ratio_of_ln_2():
    now, old = torch.tensor([[-LOG2, -1.0]]), torch.tensor([[-2 * LOG2, -1.0]])
    close(
        surrogate.log_ratio(now, old, torch.ones(1, 2), by_sequence=False), [[LOG2, 0]]
    )


def test_by_sequence_each_token_gets_the_mean_of_its_answer():
    change = torch.tensor([[0.3, 0.5, 9.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[1.0, 1, 0], [0, 0, 0]])
    got = surrogate.log_ratio(change, torch.zeros(2, 3), mask, by_sequence=True)
    close(got, [[0.4] * 3, [0.0] * 3])


def test_clipping_holds_gains_and_never_losses():
    # Ratio 2 with a good answer: held at 1.28. With a bad one: the full loss of 2.
    # Ratio 1/2 with a bad answer: held at 0.8. With a good one: only 1/2.
    change = torch.tensor([[LOG2, -LOG2], [LOG2, -LOG2]])
    got = surrogate.clipped_surrogate(change, torch.tensor([1.0, -1.0]), **CLIPS)
    close(got, [[-1.28, -0.5], [2.0, 0.8]])


def test_what_is_held_has_no_gradient_and_the_rest_has_one():
    change = torch.tensor([[LOG2, -LOG2], [LOG2, -LOG2]], requires_grad=True)
    surrogate.clipped_surrogate(
        change, torch.tensor([1.0, -1.0]), **CLIPS
    ).sum().backward()
    close(change.grad, [[0.0, -0.5], [2.0, 0.0]])


def test_cispo_bounds_the_weight_and_keeps_the_gradient():
    now = torch.tensor([[-0.5, -0.7]], requires_grad=True)
    change = torch.tensor([[LOG2, -LOG2]])
    got = surrogate.weighted_surrogate(change, now, torch.tensor([3.0]), clip_high=0.28)
    close(got.detach(), [[1.28 * 3 * 0.5, 0.5 * 3 * 0.7]])
    got.sum().backward()
    close(now.grad, [[-1.28 * 3, -0.5 * 3]])


def test_k3_of_twice_as_likely():
    # The reference is twice as sure: 2 - ln 2 - 1. Half as sure: 1/2 + ln 2 - 1.
    now = torch.tensor([[-1.0, -1.0, -1.0]])
    reference = torch.tensor([[-1 + LOG2, -1 - LOG2, -1.0]])
    close(surrogate.k3_kl(now, reference), [[1 - LOG2, LOG2 - 0.5, 0.0]])


def test_k3_is_right_on_average_and_never_negative():
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    each = surrogate.k3_kl(policy.log()[None], reference.log()[None])[0]
    exact = (policy * (policy / reference).log()).sum()
    close((policy * each).sum(), exact)
    assert (each >= 0).all()


# --- who weighs how much

VALUES = torch.tensor([[6.0, 0, 0, 99], [1, 1, 99, 99]])
MASK = torch.tensor([[1.0, 1, 1, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("grpo", (2 + 1) / 2),  # the mean of two means
        ("gspo", (2 + 1) / 2),
        ("bnpo", 8 / 5),  # five tokens
        ("dapo", 8 / 5),
        ("cispo", 8 / 5),
        ("dr_grpo", 8 / 8),  # two answers of four places
    ],
)
def test_each_kind_shares_the_sum_its_own_way(kind, want):
    close(shares.aggregate(VALUES, MASK, kind=kind), want)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_after_the_end_reaches_neither_value_nor_gradient(kind):
    now, old, advantages, mask = some_batch()
    clean = now.clone().requires_grad_()
    wild = now.masked_fill(mask == 0, -math.inf).requires_grad_()
    first = loss_of((clean, old, advantages, mask), kind)
    second = loss_of((wild, old, advantages, mask), kind)
    first.loss.backward()
    second.loss.backward()
    assert torch.equal(first.loss, second.loss)
    assert torch.equal(clean.grad, wild.grad)
    assert not wild.grad[mask == 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_any_token_brings_nothing(kind):
    now, old, advantages, mask = some_batch()
    found = loss_of((now, old, advantages, torch.zeros_like(mask)), kind)
    assert float(found.loss) == 0


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_parts_of_a_batch_add_up_to_the_whole(kind, seed, cut):
    now, old, advantages, mask = some_batch(seed)
    whole_now, part_now = (now.clone().requires_grad_() for _ in range(2))
    options = {"ref_logprobs": old + 0.1, "beta": 0.04}
    whole = loss_of((whole_now, old, advantages, mask), kind, **options)
    whole.loss.backward()
    parts = []
    for rows in (slice(0, cut), slice(cut, None)):
        # A part is as wide as its longest answer.
        width = int(mask[rows].sum(dim=1).max())
        at = (rows, slice(0, width))
        part = loss_of(
            (part_now[at], old[at], advantages[rows], mask[at]),
            kind,
            ref_logprobs=old[at] + 0.1,
            beta=0.04,
            whole=Whole.of(mask),
        )
        part.loss.backward()
        parts.append(part)
    close(part_now.grad, whole_now.grad)
    for name in ("loss", "kl", "clip_low_frac", "clip_high_frac", "ratio"):
        close(sum(getattr(part, name) for part in parts), getattr(whole, name))


# --- the whole loss


def test_one_step_by_hand():
    # Answer 1 (A = 1): ratios 2 and 1, the first held at 1.28. Answer 2 (A = -1): 1/2,
    # held at 0.8. grpo: (-(1.28 + 1) / 2 + 0.8) / 2.
    now = torch.tensor([[LOG2 - 3, -3.0], [-LOG2 - 3, -3.0]])
    mask = torch.tensor([[1.0, 1], [1, 0]])
    batch = (now, torch.full((2, 2), -3.0), torch.tensor([1.0, -1.0]), mask)
    found = loss_of(batch)
    close(found.loss, (-1.14 + 0.8) / 2)
    close(found.ratio, (2 + 1 + 0.5) / 3)
    close(found.clip_high_frac, 1 / 3)
    close(found.clip_low_frac, 1 / 3)
    assert found.kl is None


def test_the_reference_is_watched_without_a_weight_and_pulls_with_one():
    now, old, advantages, mask = some_batch()
    reference = now + 0.5
    watched = loss_of((now, old, advantages, mask), "dapo", ref_logprobs=reference)
    plain = loss_of((now, old, advantages, mask), "dapo")
    pulled = loss_of(
        (now, old, advantages, mask), "dapo", ref_logprobs=reference, beta=0.1
    )
    close(watched.kl, math.exp(0.5) - 1.5)
    assert torch.equal(watched.loss, plain.loss)
    close(pulled.loss, plain.loss + 0.1 * watched.kl)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_makes_good_answers_likelier_and_bad_ones_less(kind):
    now, _old, _advantages, mask = some_batch()
    advantages = torch.tensor([1.0, -1, 2, -2, 0, 1], dtype=torch.float64)
    leaf = now.clone().requires_grad_()
    loss_of((leaf, now, advantages, mask), kind).loss.backward()
    step = -leaf.grad * mask
    expected = (advantages[:, None] * mask).sign()
    assert torch.equal(step.sign(), expected)


def test_what_is_measured_has_no_gradient():
    now, old, advantages, mask = some_batch()
    found = loss_of((now.requires_grad_(), old, advantages, mask), ref_logprobs=old)
    assert found.loss.requires_grad
    for each in (found.kl, found.clip_low_frac, found.clip_high_frac, found.ratio):
        assert not each.requires_grad


def test_cispo_holds_nothing_below():
    now, old, advantages, mask = some_batch(answers=40)
    assert loss_of((now, old, advantages, mask), "cispo").clip_low_frac == 0
    assert loss_of((now, old, advantages, mask), "dapo").clip_low_frac > 0


GOOD = some_batch()
REFUSED = {
    "an unknown kind": (
        {"kind": "ppo"},
        "There is no loss 'ppo'. Choose one of grpo, bnpo, dr_grpo, dapo, cispo, gspo.",
    ),
    "no matrix": ({"at": 0, "value": torch.ones(3)}, "answers × tokens; got (3,)"),
    "another mask": (
        {"at": 3, "value": torch.ones(6, 6)},
        "mask must have the shape (6, 7), as logprobs say; got (6, 6)",
    ),
    "an advantage a token": (
        {"at": 2, "value": torch.ones(6, 7)},
        "advantages must have the shape (6,)",
    ),
    "another reference": (
        {"ref_logprobs": torch.ones(1, 7)},
        "ref_logprobs must have the shape (6, 7)",
    ),
    "older ones of another batch": (
        {"at": 1, "value": torch.ones(5, 7)},
        "old_logprobs must have the shape (6, 7)",
    ),
    "an advantage that is no number": (
        {"at": 2, "value": torch.full((6,), math.nan)},
        "An advantage is no finite number",
    ),
    "a clip below 0": ({"clip_high": -0.1}, "clip_high at least 0; got 0.2 and -0.1"),
    "a clip above 1": ({"clip_low": 1.5}, "clip_low must be from 0 to 1"),
    "a weight below 0": ({"beta": -1.0}, "beta must be at least 0; got -1.0"),
    "a weight without a reference": (
        {"beta": 0.1},
        "A weight beta of 0.1 needs a reference",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_means_nothing_is_refused_in_words(name):
    options, says = REFUSED[name]
    batch, options = list(GOOD), dict(options)
    if "at" in options:
        batch[options.pop("at")] = options.pop("value")
    with pytest.raises(UsageError) as caught:
        loss_of(tuple(batch), **options)
    assert says in str(caught.value)
