"""Train with several processes that `torchrun` starts, or with one: the same code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from sparrow import runtime

__all__ = ["Team", "team"]


@dataclass(frozen=True)
class Team:
    """The processes of one run; `rank` counts them from 0."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to the person."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, which each of them gets."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def any(self, wish: bool) -> bool:
        """Whether one of them wishes it; all must come to the same answer."""
        return bool(self.sum(torch.tensor(int(wish), device=self.device)))

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Join the processes that `torchrun` started, or be alone.

    NCCL connects graphics cards, gloo connects processors.
    """
    place = runtime.place_in_team()
    if place is None:
        yield Team(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(place.local_rank)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(place.rank, place.size, device)
    finally:
        dist.destroy_process_group()
