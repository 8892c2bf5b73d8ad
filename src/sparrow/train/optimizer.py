"""Two groups of weights: matrices, which decay, and everything else, which does not."""

import torch
from torch import nn

from sparrow.model import Sparrow
from sparrow.train.muon import Muon
from sparrow.train.settings import Moving

__all__ = ["clip", "make_optimizer", "parameter_groups"]

# Rows of these stand for tokens or experts, each on its own: no matrix in Muon's sense.
OUTER = ("embed_tokens.weight", "lm_head.weight", "mlp.gate.weight")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Matrices with weight decay; norms without.

    A decay pulls a matrix back from growing without need. A norm's weights are scales
    around one, and zero is no better a place for them.
    """
    matrices = [each for each in model.parameters() if each.dim() > 1]
    scales = [each for each in model.parameters() if each.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": scales, "weight_decay": 0.0},
    ]


def make_optimizer(model: Sparrow, recipe: Moving) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101), or Muon for inner matrices."""
    betas = (recipe.beta1, recipe.beta2)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            parameter_groups(model, recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=betas,
            fused=True,
        )
    inner = {
        each
        for name, each in model.named_parameters()
        if each.dim() > 1 and not name.endswith(OUTER)
    }
    others = [each for each in model.parameters() if each not in inner]
    return Muon(
        [each for each in model.parameters() if each in inner],
        [{"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=betas,
        weight_decay=recipe.weight_decay,
    )


def clip(model: nn.Module, longest: float) -> float:
    """Shorten the gradient to `longest`; how long it was before."""
    return float(nn.utils.clip_grad_norm_(model.parameters(), longest))
