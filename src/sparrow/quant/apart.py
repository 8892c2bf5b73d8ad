"""Take stacked experts apart, so that each of their matrices is a layer of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparrow.model import Sparrow, moe
from sparrow.model.linear import Linear

__all__ = ["Expert", "SeparateExperts", "take_apart"]


class Expert(nn.Module):
    """One expert: SwiGLU with one matrix in and one out. Shapes: [S, D] -> [S, D]."""

    def __init__(self, gate_up: Tensor, down: Tensor) -> None:
        """Take over [2I, D] and [D, I]."""
        super().__init__()
        self.gate_up_proj = Linear(gate_up.shape[1], gate_up.shape[0])
        self.gate_up_proj.weight = nn.Parameter(gate_up.clone())
        self.down_proj = Linear(down.shape[1], down.shape[0])
        self.down_proj.weight = nn.Parameter(down.clone())

    def forward(self, x: Tensor) -> Tensor:
        """down(silu(gate x) · up x)."""
        gated, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gated) * up)


class SeparateExperts(moe.ExpertFeedForward):
    """The same routing and the same experts; each is asked in turn for its tokens."""

    experts: nn.ModuleList  # type: ignore[assignment]

    def __init__(self, stacked: moe.ExpertFeedForward) -> None:
        """Take over all weights."""
        nn.Module.__init__(self)
        self.config = stacked.config
        self.gate = stacked.gate
        both = zip(
            stacked.experts.gate_up_proj.data,
            stacked.experts.down_proj.data,
            strict=True,
        )
        self.experts = nn.ModuleList(Expert(*each) for each in both)
        self.shared_experts = stacked.shared_experts
        self.last_routing = None

    def each(self) -> list[Expert]:
        """The routed experts, in their order."""
        return [each for each in self.experts if isinstance(each, Expert)]

    def forward(self, x: Tensor) -> Tensor:
        """Route each token, mix the answers, add the shared experts' answer."""
        tokens = x.flatten(0, -2)
        routing = moe.gate(
            tokens, self.gate.weight, self.gate.e_score_correction_bias, self.config
        )
        self.last_routing = routing
        mixed = torch.zeros_like(tokens)
        for expert in routing.experts.unique().tolist():
            token, place = (routing.experts == expert).nonzero(as_tuple=True)
            answer = self.experts[expert](tokens[token])
            weight = routing.weights[token, place, None].to(x.dtype)
            mixed.index_add_(0, token, answer * weight)
        if self.shared_experts is not None:
            mixed = mixed + self.shared_experts(tokens)
        return mixed.view_as(x)


def take_apart(model: Sparrow) -> None:
    """Replace, in place, the experts of every layer."""
    for name, module in list(model.named_modules()):
        if type(module) is moe.ExpertFeedForward:
            model.set_submodule(name, SeparateExperts(module))
