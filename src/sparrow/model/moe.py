"""Give each token to a few experts; keep all of them equally busy, without a penalty.

DeepSeekMoE with auxiliary-loss-free balancing (arXiv:2412.19437, section 2.1.2, and
arXiv:2408.15664): a bias on each expert moves who is *chosen*, never how much the
chosen one counts, and no gradient flows into it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow.config import Config
from sparrow.model.linear import Linear

__all__ = [
    "DenseFeedForward",
    "ExpertFeedForward",
    "Routing",
    "gate",
    "limit_groups",
    "max_violation",
    "mix_experts",
    "mix_experts_plain",
    "sequence_balance_loss",
    "update_bias",
]

TINY = 1e-20  # keeps the division defined when every chosen score is zero
# Found by measuring on two CPU cores, pico, 32 to 5120 tokens:
ROWS_STEP = 32  # rows of an expert's slice come in steps
BLOCK_WASTE = 1.3  # equal slices pay while they hold at most so many times the work
FEW = 2  # below so many pieces of work an expert, only those with work are asked
BLOCK_ALWAYS = 2048  # and always up to so many rows, where calls cost more than sums


class Routing(NamedTuple):
    """Who works on each token. Shapes: [S, A], [S, A], [S, E]; S tokens, A chosen."""

    experts: Tensor
    weights: Tensor
    scores: Tensor


def limit_groups(choice: Tensor, n_group: int, topk_group: int) -> Tensor:
    """Let each token choose inside its best groups of experts only.

    A group is judged by the sum of its two best scores. The rest is set to −∞, not to
    zero: with negative biases a zero would win.

    Shapes:
        choice: [S, E]; returns [S, E].

    Source: arXiv:2412.19437, section 2.1.2, "node-limited routing".
    """
    # 1. One group: nothing to limit.
    if n_group == 1:
        return choice
    # 2. Judge each group by its two best experts: [S, G].
    grouped = choice.unflatten(-1, (n_group, -1))
    group_score = grouped.topk(2, dim=-1).values.sum(dim=-1)
    # 3. Mark the best groups: [S, G].
    best = group_score.topk(topk_group, dim=-1, sorted=False).indices
    is_open = torch.zeros_like(group_score, dtype=torch.bool).scatter(-1, best, True)
    # 4. Close the others.
    return grouped.masked_fill(~is_open[..., None], float("-inf")).flatten(-2)


def gate(hidden: Tensor, weight: Tensor, bias: Tensor, config: Config) -> Routing:
    """Choose the experts of each token, and how much each of them counts.

    Args:
        hidden: the tokens.
        weight: one centroid for each expert.
        bias: the selection bias; it moves the choice and nothing else.
        config: numbers of experts and groups, and how weights are scaled.

    Shapes:
        hidden: [S, D]; weight: [E, D]; bias: [E]; see `Routing`.

    Source: arXiv:2412.19437, equations 12 to 16.
    """
    # 1. How well each expert fits each token, each in (0, 1).
    # In float32: ties must not depend on rounding.
    scores = F.linear(hidden.float(), weight.float()).sigmoid()
    # 2. Choose by score plus bias, inside the best groups.
    choice = limit_groups(scores + bias, config.n_group, config.topk_group)
    experts = choice.topk(config.num_experts_per_tok, dim=-1, sorted=False).indices
    # 3. Weigh by the score alone.
    weights = scores.gather(-1, experts)
    # 4. Make the weights of a token sum to one, then scale.
    if config.norm_topk_prob:
        weights = weights / (weights.sum(dim=-1, keepdim=True) + TINY)
    return Routing(experts, weights * config.routed_scaling_factor, scores)


def update_bias(bias: Tensor, load: Tensor, speed: float) -> Tensor:
    """Make overworked experts a little harder to choose, idle ones a little easier.

    Args:
        bias: the selection bias.
        load: how many tokens each expert received in the last step.
        speed: the size of the change; DeepSeek-V3 used 0.001.

    Shapes:
        bias, load: [E]; returns [E].

    Source: arXiv:2408.15664, algorithm 1.
    """
    # 1. How far each expert is below (positive) or above the mean load.
    shortfall = load.float().mean() - load.float()
    # 2. Move each bias by one step of fixed size.
    return bias + speed * shortfall.sign()


def max_violation(load: Tensor) -> Tensor:
    """MaxVio: how far the busiest expert is above the mean load; 0 is perfect.

    Shapes:
        load: [..., E], tokens an expert; returns [...].

    Source: arXiv:2408.15664, equation 4.
    """
    mean = load.float().mean(dim=-1)
    return (load.float().amax(dim=-1) - mean) / mean


def sequence_balance_loss(routing: Routing, batch: int, config: Config) -> Tensor:
    """A light push against extreme imbalance inside one sequence.

    Args:
        routing: who works on each token of `batch` sequences of equal length.
        batch: B, the number of sequences; S = B · T.
        config: numbers of experts.

    Returns:
        A scalar, not yet multiplied by its weight (DeepSeek-V3: 0.0001).

    Source: arXiv:2412.19437, equations 17 to 20.
    """
    experts_total, chosen = config.n_routed_experts, config.num_experts_per_tok
    # 1. f: how often each expert was chosen in each sequence, 1 meaning fair: [B, E].
    was_chosen = F.one_hot(routing.experts, experts_total).sum(dim=1)
    share_chosen = was_chosen.unflatten(0, (batch, -1)).float().mean(dim=1)
    frequency = share_chosen * experts_total / chosen
    # 2. P: the mean normalised score of each expert in each sequence: [B, E].
    normed = routing.scores / (routing.scores.sum(dim=-1, keepdim=True) + TINY)
    probability = normed.unflatten(0, (batch, -1)).mean(dim=1)
    # 3. Their product, summed over experts, averaged over sequences.
    return (frequency.detach() * probability).sum(dim=-1).mean()


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """One feed-forward: down(silu(gate x) · up x). Source: arXiv:2002.05202.

    Shapes:
        x: [S, D]; gate_up: [2I, D]; down: [D, I]; returns [S, D].
    """
    gated, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gated) * up, down)


def mix_experts_plain(
    x: Tensor, routing: Routing, gate_up: Tensor, down: Tensor
) -> Tensor:
    """Ask each expert in turn for its tokens: the obvious twin of `mix_experts`.

    Shapes:
        x: [S, D]; gate_up: [E, 2I, D]; down: [E, D, I]; returns [S, D].
    """
    mixed = torch.zeros_like(x)
    for expert in range(len(gate_up)):
        token, place = (routing.experts == expert).nonzero(as_tuple=True)
        answer = swiglu(x[token], gate_up[expert], down[expert])
        weight = routing.weights[token, place, None].to(x.dtype)
        mixed = mixed.index_add(0, token, answer * weight)
    return mixed


def mix_experts(x: Tensor, routing: Routing, gate_up: Tensor, down: Tensor) -> Tensor:
    """Lay the tokens out expert by expert, so that each expert reads one slice.

    Slices are filled up to a multiple of `ROWS_STEP` rows, so that few different
    shapes occur. The rows added repeat the first token, and nobody reads the answer.

    Shapes:
        x: [S, D]; gate_up: [E, 2I, D]; down: [E, D, I]; returns [S, D].
    """
    experts, chosen = len(gate_up), routing.experts.shape[1]
    flat = routing.experts.flatten()  # [S·A], the expert of each piece of work
    load = torch.bincount(flat, minlength=experts)
    is_few = len(flat) < FEW * experts  # then most experts have nothing to do
    step = 1 if is_few else ROWS_STEP
    rows = (load + step - 1) // step * step  # of each slice
    busiest = int(rows.max())
    is_block = not is_few and experts * busiest <= max(
        BLOCK_WASTE * len(flat), BLOCK_ALWAYS
    )
    if is_block:  # equal slices: all experts can be asked at once
        rows = torch.full_like(rows, busiest)
    order = flat.argsort(stable=True)  # stable: the same sums on every run
    by_expert = flat[order]
    place = (
        torch.arange(len(flat), device=x.device) - (load.cumsum(0) - load)[by_expert]
    )
    slot = (rows.cumsum(0) - rows)[by_expert] + place  # the row of each piece
    source = torch.zeros(int(rows.sum()), dtype=torch.long, device=x.device)
    source[slot] = order // chosen
    laid_out = x.index_select(0, source)
    if is_block:
        answers = _ask_block(laid_out.unflatten(0, (experts, -1)), gate_up, down)
    else:
        answers = _ask_each(laid_out.split(rows.tolist()), gate_up, down)
    back = torch.empty_like(order)
    back[order] = slot
    # Read, weigh and add the answers of each token in one pass over them.
    return F.embedding_bag(
        back.unflatten(0, (-1, chosen)),
        answers.to(x.dtype),  # autocast may have made them smaller
        per_sample_weights=routing.weights.to(x.dtype),
        mode="sum",
    )


def _ask_block(block: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """All experts at once, on equal slices. Shapes: [E, C, D] -> [E·C, D]."""
    gated, up = torch.bmm(block, gate_up.transpose(1, 2)).chunk(2, dim=-1)
    return torch.bmm(F.silu(gated) * up, down.transpose(1, 2)).flatten(0, 1)


def _ask_each(slices: Sequence[Tensor], gate_up: Tensor, down: Tensor) -> Tensor:
    """One expert after the other. Shapes: E times [C_e, D] -> [sum of C_e, D]."""
    return torch.cat(
        [
            swiglu(tokens, gate_up[expert], down[expert])
            for expert, tokens in enumerate(slices)
            if len(tokens)
        ]
    )


class DenseFeedForward(nn.Module):
    """SwiGLU, named as in published checkpoints. Shapes: [..., D] -> [..., D]."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden_size, intermediate_size)
        self.up_proj = Linear(hidden_size, intermediate_size)
        self.down_proj = Linear(intermediate_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """down(silu(gate x) · up x)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    """The router's weights and its selection bias, which no gradient reaches."""

    e_score_correction_bias: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        experts = config.n_routed_experts
        self.weight = nn.Parameter(torch.empty(experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(experts))


class Experts(nn.Module):
    """The routed experts' weights, stacked. Shapes: [E, 2I, D] and [E, D, I]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        experts, inner = config.n_routed_experts, config.moe_intermediate_size
        width = config.hidden_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, width))
        self.down_proj = nn.Parameter(torch.empty(experts, width, inner))


class ExpertFeedForward(nn.Module):
    """Routed experts and shared ones, which see every token.

    After a forward pass `last_routing` says who worked on what, for `update_bias`,
    `sequence_balance_loss` and the plots.

    Shapes: [..., D] -> [..., D].
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.gate = Gate(config)
        self.experts = Experts(config)
        self.shared_experts = (
            DenseFeedForward(
                config.hidden_size,
                config.n_shared_experts * config.moe_intermediate_size,
            )
            if config.n_shared_experts
            else None
        )
        self.last_routing: Routing | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Route each token, mix the answers, add the shared experts' answer."""
        tokens = x.flatten(0, -2)
        routing = gate(
            tokens, self.gate.weight, self.gate.e_score_correction_bias, self.config
        )
        self.last_routing = routing
        weights = self.experts.gate_up_proj, self.experts.down_proj
        mixed = mix_experts(tokens, routing, *weights).view_as(x)
        if self.shared_experts is not None:
            mixed = mixed + self.shared_experts(x)
        return mixed
