"""Tell a vector where it stands: turn its features in pairs, each at its own speed.

Two layouts of pairs exist in published checkpoints. DeepSeek pairs neighbours,
(0, 1), (2, 3), …; Llama pairs the two halves, (0, D/2), (1, D/2 + 1), …. The
mathematics is the same; the weights are laid out differently.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sparrow.config import Config, Yarn

__all__ = [
    "Rotation",
    "attention_scale",
    "frequencies",
    "rotate_halves",
    "rotate_pairs",
    "rotation",
]


class Rotation(NamedTuple):
    """Cosine and sine of every angle, in float32. Shapes: [B or 1, T, R/2] each."""

    cos: Tensor
    sin: Tensor


def frequencies(config: Config) -> Tensor:
    """The angle by which each pair turns from one token to the next, in radians.

    Shapes:
        returns [R/2], float32, R = config.rotary_dim.

    Source: Su et al., arXiv:2104.09864, section 3.2.2; YaRN: arXiv:2309.00071.
    """
    # Always on the CPU, also while a model is being opened without weights.
    pairs = torch.arange(0, config.rotary_dim, 2, device="cpu").float()
    exponents = pairs / config.rotary_dim
    base = 1.0 / config.rope_theta**exponents
    if config.yarn is None:
        return base
    return _stretch(base, config.yarn, config.rope_theta)


def _stretch(base: Tensor, yarn: Yarn, theta: float) -> Tensor:
    """Divide slow frequencies by the factor, keep fast ones, blend between.

    Source: Peng et al., arXiv:2309.00071, equations 17 to 20, with the rounded
    range of pairs that DeepSeek uses.
    """
    rotary_dim = 2 * base.numel()

    def pair_that_turns(times: float) -> float:
        """The (fractional) pair that makes `times` turns in the original context."""
        length = yarn.original_max_position_embeddings / (times * 2 * math.pi)
        return rotary_dim * math.log(length) / (2 * math.log(theta))

    low = max(math.floor(pair_that_turns(yarn.beta_fast)), 0)
    high = min(math.ceil(pair_that_turns(yarn.beta_slow)), rotary_dim - 1)
    width = max(high - low, 0.001)  # no division by zero where the two coincide
    pairs = torch.arange(base.numel(), dtype=torch.float32, device="cpu")
    slow_frac = ((pairs - low) / width).clamp(0, 1)
    return base * (1 - slow_frac) + base / yarn.factor * slow_frac


def _temperature(yarn: Yarn, mscale: float) -> float:
    """YaRN's attention temperature: 0.1 · mscale · ln(factor) + 1."""
    return 0.1 * mscale * math.log(yarn.factor) + 1.0


def attention_scale(config: Config, head_dim: int) -> float:
    """What scores are multiplied by: 1/√head_dim, times YaRN's correction squared.

    DeepSeek puts the whole correction here, on all features of a head, and none
    into cosine and sine, as long as mscale equals mscale_all_dim.
    """
    scale: float = head_dim**-0.5
    if config.yarn is None or config.attention != "mla":
        return scale
    return scale * _temperature(config.yarn, config.yarn.mscale_all_dim) ** 2


def rotation(positions: Tensor, inverse_freq: Tensor, config: Config) -> Rotation:
    """Cosine and sine for tokens at these positions.

    Shapes:
        positions: [B or 1, T], integers; inverse_freq: [R/2]; see `Rotation`.
    """
    angles = positions[..., None].float() * inverse_freq  # [B, T, R/2]
    size = 1.0
    if config.yarn is not None:
        yarn = config.yarn
        size = _temperature(yarn, yarn.mscale) / _temperature(yarn, yarn.mscale_all_dim)
    return Rotation(angles.cos() * size, angles.sin() * size)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn neighbouring features (0, 1), (2, 3), … by their angles: DeepSeek's layout.

    Args:
        x: queries or keys.
        cos: cosine of each pair's angle at each token.
        sin: sine of the same angles.

    Shapes:
        x: [B, T, H, R]; cos, sin: [B or 1, T, R/2]; returns [B, T, H, R].

    Source: Su et al., arXiv:2104.09864, equation 34.
    """
    # 1. Let cos and sin broadcast over the heads, in the precision of x.
    cos, sin = cos[:, :, None].to(x.dtype), sin[:, :, None].to(x.dtype)
    # 2. Split each pair into its first and its second feature: [B, T, H, R/2].
    first, second = x[..., 0::2], x[..., 1::2]
    # 3. Turn the pair, as a point in the plane, anticlockwise by the angle.
    turned_first = first * cos - second * sin
    turned_second = first * sin + second * cos
    # 4. Put each pair back where it was.
    return torch.stack((turned_first, turned_second), dim=-1).flatten(-2)


def rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn features (i, i + R/2) by their angles: Llama's layout.

    Shapes:
        x: [B, T, H, R]; cos, sin: [B or 1, T, R/2]; returns [B, T, H, R].
    """
    cos, sin = cos[:, :, None].to(x.dtype), sin[:, :, None].to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
