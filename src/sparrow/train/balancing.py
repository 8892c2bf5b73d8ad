"""Biases at work on a router that never learns: nothing else can balance it."""

import torch

from sparrow.config import Config
from sparrow.model import moe
from sparrow.runtime import generator

__all__ = ["balance_alone"]

EXPERTS, CHOSEN, WIDTH = 8, 2, 16


def balance_alone(
    speed: float, *, lean: float = 1.0, tokens: int = 512, steps: int = 200
) -> list[float]:
    """MaxVio of every step, with new tokens each time.

    Args:
        speed: how far a bias moves in a step.
        lean: how much all tokens have in common, so that they prefer the same experts.
        tokens: of a step.
        steps: how many.
    """
    config = Config.preset("pico").replace(
        n_routed_experts=EXPERTS, num_experts_per_tok=CHOSEN, hidden_size=WIDTH
    )
    draw = generator(3)
    centroids = torch.randn(EXPERTS, WIDTH, generator=draw) * WIDTH**-0.5
    common = torch.randn(WIDTH, generator=draw) * lean
    bias, found = torch.zeros(EXPERTS), []
    for _step in range(steps):
        hidden = torch.randn(tokens, WIDTH, generator=draw) + common
        experts = moe.gate(hidden, centroids, bias, config).experts
        load = experts.flatten().bincount(minlength=EXPERTS)
        bias = moe.update_bias(bias, load, speed)
        found.append(float(moe.max_violation(load)))
    return found
