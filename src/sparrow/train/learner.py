"""One step of training: gradients of a batch, a move of every weight and every bias."""

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from sparrow import runtime
from sparrow.data.packing import IGNORED, Packed
from sparrow.model import Sparrow, moe
from sparrow.train import schedule
from sparrow.train.objective import Losses, Objective
from sparrow.train.optimizer import clip, make_optimizer
from sparrow.train.parallel import Team
from sparrow.train.recipe import Learning

__all__ = ["Learned", "Learner"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What one step found. Losses are in nats a token, before their weights."""

    loss: float
    mtp_loss: float
    balance_loss: float
    max_violations: tuple[float, ...]
    gradient_norm: float
    learning_rate: float


class Learner:
    """A model, its optimizer, and all that changes when it learns."""

    def __init__(
        self,
        model: Sparrow,
        recipe: Learning,
        workers: Team,
        objective: torch.nn.Module | None = None,
    ) -> None:
        self.model, self.recipe, self.workers = model, recipe, workers
        asked = recipe.precision
        self.dtype = (
            runtime.compute_dtype(model.device) if asked == "auto" else DTYPES[asked]
        )
        self.optimizer = make_optimizer(model, recipe)
        # fp16 has no small numbers: losses are scaled up, gradients down again
        self.scaler = torch.amp.GradScaler(
            model.device.type, enabled=self.dtype == torch.float16
        )
        self.objective: torch.nn.Module = objective or Objective(
            model, mtp_weight=recipe.mtp_weight, balance_weight=recipe.balance_weight
        )
        if workers.size > 1:
            has_idle = bool(model.mtp) and not recipe.mtp_weight
            self.objective = DistributedDataParallel(
                self.objective, find_unused_parameters=has_idle
            )

    def learn(self, batch: Packed, step: int) -> Learned:
        """Learn from one batch; all processes get the same batch and share its rows."""
        recipe, workers = self.recipe, self.workers
        rate = self._set_rate(step)
        losses, loads = self._gradients(batch)
        self.scaler.unscale_(self.optimizer)
        norm = clip(self.model, recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        loads = [workers.sum(load) for load in loads]
        self._balance(loads)
        language, mtp, balance = workers.sum(losses).tolist()
        return Learned(
            loss=language,
            mtp_loss=mtp,
            balance_loss=balance,
            max_violations=tuple(float(moe.max_violation(load)) for load in loads),
            gradient_norm=norm,
            learning_rate=rate,
        )

    def _set_rate(self, step: int) -> float:
        recipe = self.recipe
        rate = schedule.learning_rate(
            step,
            peak=recipe.learning_rate,
            warmup_steps=recipe.warmup_steps,
            decay_steps=recipe.decay_steps,
            total_steps=recipe.steps,
            floor=recipe.floor_frac * recipe.learning_rate,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _gradients(self, batch: Packed) -> tuple[Tensor, list[Tensor]]:
        """Add up the gradients of this process's rows, some rows at a time.

        Returns:
            The sums of three losses, and how many tokens each expert received.
        """
        device, size = self.model.device, self.workers.size
        count = int((batch.targets != IGNORED).sum())
        rows = len(batch.tokens)
        mine = batch.rows(slice(self.workers.rank, None, size))
        at_once = self.recipe.micro_batch_size or rows
        sums = torch.zeros(3, device=device)
        loads = [
            torch.zeros(len(gate.weight), dtype=torch.long, device=device)
            for gate in self.model.gates()
        ]
        starts = range(0, len(mine.tokens), at_once)
        for first in starts:
            part = mine.rows(slice(first, first + at_once)).to(device)
            with self._may_wait_to_share(first == starts[-1]), self._autocast():
                losses: Losses = self.objective(part, count, rows)
                # DDP takes the mean over processes, and the sum is wanted
                self.scaler.scale(losses.total * size).backward()
            sums += torch.stack((losses.language, losses.mtp, losses.balance)).detach()
            for load, routing in zip(loads, self.model.routings(), strict=False):
                load += routing.experts.flatten().bincount(minlength=len(load))
        return sums, loads

    def _may_wait_to_share(
        self, is_last: bool
    ) -> contextlib.AbstractContextManager[None]:
        """Processes share gradients once a step, with the last part."""
        if isinstance(self.objective, DistributedDataParallel) and not is_last:
            return self.objective.no_sync()
        return contextlib.nullcontext()

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.model.device.type, self.dtype)

    def _balance(self, loads: list[Tensor]) -> None:
        """Move each expert's selection bias by its load in this step."""
        if not self.recipe.bias_speed:
            return
        for gate, load in zip(self.model.gates(), loads, strict=True):
            bias = gate.e_score_correction_bias
            bias.copy_(moe.update_bias(bias, load, self.recipe.bias_speed))
