"""Scores of two models over a few words, and cases that look at gradients, too."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sparrow.checks.protocol import Case, Plain

__all__ = ["ATOL", "scores", "with_gradient"]

WORDS = 7
ATOL = 1e-4  # nats; scores of some hundreds have no more digits in float32


def scores(generator: torch.Generator, *places: int, size: float = 1.0) -> Tensor:
    """Scores of every word at each place. Shapes: [*places, V]."""
    return torch.randn(*places, WORDS, generator=generator) * size


def with_gradient(name: str, group: str, arguments: Mapping[str, Plain]) -> Case:
    """A case for the driver `gradient`: differentiated by the student's scores."""
    return Case(name, group, {"arguments": dict(arguments), "wrt": ["student"]})
