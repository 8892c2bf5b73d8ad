"""Learn from a model that can do it: what it writes, or what it finds likely."""

from sparrow.distill.sampler import keep_right
from sparrow.distill.soft import forward_kl, reverse_kl

__all__ = ["forward_kl", "keep_right", "reverse_kl"]
