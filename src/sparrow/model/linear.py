"""Matrices without a bias and without a beginning: the model draws its own weights."""

from torch import nn

__all__ = ["Linear"]


class Linear(nn.Linear):
    """`nn.Linear` with no bias, and left empty: `Sparrow` fills every matrix itself.

    Shapes: [..., inputs] -> [..., outputs].
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        """Do nothing: the model or a checkpoint gives the weights."""
