"""Let each matrix move equally far in every direction, not only in its loudest ones.

A gradient has a few strong directions and many weak ones. Muon keeps the directions
and makes all of them equally strong; what is no matrix follows AdamW.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

__all__ = ["Muon", "orthogonalise"]

# Coefficients of Jordan's quintic: found by search, so that small singular values grow
# fast and all of them end between about 0.7 and 1.2 after five rounds.
A, B, C = 3.4445, -4.7750, 2.0315
ROUNDS = 5
TINY = 1e-7
# An orthogonal step of a [R, C] matrix has entries of size 1/√max(R, C); times this and
# √max(R, C) they are as large as AdamW's (Liu et al., arXiv:2502.16982, section 2.2).
LIKE_ADAMW = 0.2
STRONGER = 5.0  # small models like larger steps: measured, book/developer/log.md


def orthogonalise(matrix: Tensor) -> Tensor:
    """Make all singular values of a matrix about one; its directions stay.

    Shapes:
        matrix: [..., R, C], one matrix or a stack of them, as experts have; returns
        the same.

    Source: Jordan et al. 2024, "Muon"; Newton and Schulz's iteration.
    """
    # 1. No singular value above one, or the iteration runs away.
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + TINY)
    # 2. The smaller square is cheaper.
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    # 3. Each round applies a·s + b·s³ + c·s⁵ to every singular value s.
    for _round in range(ROUNDS):
        square = x @ x.mT
        x = A * x + (B * square + C * square @ square) @ x
    return x.mT if is_tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the matrices inside the layers, AdamW for all other weights.

    Args:
        matrices: weights of two axes, or stacks of such weights.
        others: groups as AdamW takes them: embedding, head, router and norms.
        lr: the learning rate of both.
        momentum: memory of the gradient, for matrices.
        betas: AdamW's two memories.
        weight_decay: pull towards zero, for matrices.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.1,
    ) -> None:
        shared = {"lr": lr, "momentum": momentum, "betas": betas, "eps": 1e-8}
        first = {"params": list(matrices), "is_matrix": True}
        rest = [{"is_matrix": False, **group} for group in others]
        super().__init__([first, *rest], shared | {"weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        assert closure is None, "training here computes the gradients first"
        for group in self.param_groups:
            there = [each for each in group["params"] if each.grad is not None]
            if group["is_matrix"]:
                for weight in there:
                    self._step_matrix(weight, group)
            elif there:
                self._step_others(there, group)

    def _step_matrix(self, weight: Tensor, group: dict[str, Any]) -> None:
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        mean = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
        # Nesterov: look where the memory will be after this gradient
        ahead = weight.grad.lerp(mean, group["momentum"])
        size = LIKE_ADAMW * STRONGER * max(weight.shape[-2:]) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(orthogonalise(ahead), alpha=-group["lr"] * size)

    def _step_others(self, there: list[Tensor], group: dict[str, Any]) -> None:
        for weight in there:
            if not self.state[weight]:
                self.state[weight] = {
                    "step": torch.zeros((), device=weight.device),
                    "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                }
        kept = [self.state[weight] for weight in there]
        adamw(
            there,
            [weight.grad for weight in there if weight.grad is not None],
            [each["exp_avg"] for each in kept],
            [each["exp_avg_sq"] for each in kept],
            [],
            [each["step"] for each in kept],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
