"""The model: latent attention, experts, one token further, and its checkpoints."""

from sparrow.model.transformer import Sparrow

__all__ = ["Sparrow"]
