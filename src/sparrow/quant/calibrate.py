"""Walk through a model layer by layer, and note what flows into each matrix.

A layer is quantized before the next one is looked at: so the next one sees what the
quantized layers really give, and can make up for some of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sparrow.errors import QuantizationError
from sparrow.language import _
from sparrow.model import Sparrow, mla, moe, rope
from sparrow.model.linear import Linear

__all__ = ["Flow", "Unit", "check", "listen", "units"]

ROWS = 8  # sequences at a time


@dataclass
class Flow:
    """What came into a matrix: Σ x xᵀ, Σ |x| and how many vectors x."""

    gram: Tensor  # [K, K]
    total: Tensor  # [K]
    count: int = 0

    @classmethod
    def empty(cls, width: int, device: torch.device) -> "Flow":
        """Nothing yet."""
        zeros = partial(torch.zeros, device=device)
        return cls(zeros(width, width), zeros(width))

    def add(self, x: Tensor) -> None:
        """Note some vectors. Shapes: [..., K]."""
        flat = x.detach().flatten(0, -2).float()
        self.gram.addmm_(flat.T, flat)
        self.total += flat.abs().sum(dim=0)
        self.count += len(flat)

    @property
    def size(self) -> Tensor:
        """The mean of |x|, feature by feature, [K]."""
        return self.total / max(self.count, 1)


@dataclass
class Unit:
    """One layer of the model, or one MTP module, and how to run it on what came in."""

    name: str
    module: nn.Module
    run: Callable[[], Tensor] = torch.Tensor  # nothing comes in, nothing comes out
    flows: dict[str, Flow] = field(default_factory=dict)  # by the matrix's name inside


def check(calibration: Tensor, model: Sparrow) -> Tensor:
    """Refuse what a model cannot be calibrated with.

    Raises:
        QuantizationError: there is no text, or the model cannot read it.
    """
    if calibration.dim() != 2 or calibration.numel() == 0:
        raise QuantizationError(
            _(
                "calibration needs token ids, at least one row of at least one; got "
                "the shape {got}.",
                got=list(calibration.shape),
            )
        )
    width, limit = calibration.shape[1], model.config.max_position_embeddings
    if calibration.is_floating_point() or width > limit:
        raise QuantizationError(
            _(
                "calibration needs whole numbers in rows of at most {limit}; got "
                "{type} in rows of {width}.",
                limit=limit,
                type=str(calibration.dtype).removeprefix("torch."),
                width=width,
            )
        )
    low, high = int(calibration.min()), int(calibration.max())
    if low < 0 or high >= model.config.vocab_size:
        raise QuantizationError(
            _(
                "calibration has token {got}, which is not in the vocabulary, whose "
                "ids are 0 to {last}.",
                got=low if low < 0 else high,
                last=model.config.vocab_size - 1,
            )
        )
    return calibration.to(model.device)


def units(model: Sparrow, ids: Tensor | None) -> Iterator[Unit]:
    """Each layer in turn; what it gives is taken after the caller has changed it.

    Args:
        model: its experts are apart.
        ids: token ids, [R, T]; None: nothing flows.
    """
    if ids is None:
        for name in ("layers", "mtp"):
            for place, module in enumerate(getattr(model, name)):
                yield Unit(f"{name}.{place}", module)
        return
    state = model.embed_tokens(ids)
    for place, block in enumerate(model.layers):
        run = partial(_through, model, block, state)
        yield Unit(f"layers.{place}", block, run)
        state = run()
    state = model.norm(state)
    for place, module in enumerate(model.mtp):
        run = partial(_further, model, module, state, ids, place + 1)
        yield Unit(f"mtp.{place}", module, run)
        state = run()


def _through(model: Sparrow, block: nn.Module, state: Tensor) -> Tensor:
    """One layer, a few sequences at a time. Shapes: [R, T, D] -> [R, T, D]."""
    positions = torch.arange(state.shape[1], device=state.device)[None]
    turn = rope.rotation(positions, model.inverse_freq, model.config)
    return torch.cat([block(rows, turn) for rows in state.split(ROWS)])


def _further(
    model: Sparrow, module: nn.Module, state: Tensor, ids: Tensor, depth: int
) -> Tensor:
    """One MTP module; see `Sparrow.predict_further`. [R, T, D] -> [R, T - 1, D]."""
    shifted = ids[:, depth:]
    tokens = shifted.shape[1]
    positions = torch.arange(depth, depth + tokens, device=ids.device)[None]
    turn = rope.rotation(positions, model.inverse_freq, model.config)
    pairs = zip(
        state[:, :tokens].split(ROWS),
        model.embed_tokens(shifted).split(ROWS),
        strict=True,
    )
    return torch.cat([module(*rows, turn) for rows in pairs])


@contextmanager
def listen(unit: Unit) -> Iterator[None]:
    """Inside this block, note in `unit.flows` what comes into each matrix.

    Latent attention reads two of its matrices without calling them, and all experts
    read what comes into their layer: these are noted at their owner's door.
    """
    handles = []
    for name, module in unit.module.named_modules():
        notes: list[tuple[str, int, Callable[[Tensor], Tensor]]] = []
        if isinstance(module, Linear):
            notes = [(name, module.in_features, _itself)]
        elif isinstance(module, mla.LatentAttention):
            rank = module.config.kv_lora_rank
            width = module.config.hidden_size
            notes = [
                (f"{name}.kv_a_proj_with_mqa", width, _itself),
                (f"{name}.kv_b_proj", rank, partial(_latent, module)),
            ]
        elif isinstance(module, moe.ExpertFeedForward):
            notes = [(name, module.config.hidden_size, _itself)]
        for key, width, made in notes:
            flow = unit.flows.setdefault(key, Flow.empty(width, _device(unit.module)))
            handles.append(module.register_forward_pre_hook(partial(_note, flow, made)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note(
    flow: Flow, made: Callable[[Tensor], Tensor], _module: nn.Module, args: Any
) -> None:
    flow.add(made(args[0]))


def _itself(x: Tensor) -> Tensor:
    return x


def _latent(attention: mla.LatentAttention, hidden: Tensor) -> Tensor:
    """What `kv_b_proj` reads."""
    latent, _key = mla.compress(
        hidden,
        attention.kv_a_proj_with_mqa.weight,
        attention.kv_a_layernorm.weight,
        attention.config.kv_lora_rank,
    )
    return latent


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
