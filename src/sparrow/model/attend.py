"""Mix values by how well their keys fit the query: softmax(q · kᵀ · scale) v."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["attend", "attend_fused", "attend_plain", "is_short", "softmax"]

# On a CPU, short texts are faster with plain matrix products than with PyTorch's fused
# kernel, which is made for long ones (measured: book/developer/log.md).
LONGEST_PLAIN = 256


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """Attend, in whichever of the two equal ways is faster here.

    Args:
        query: what each token looks for.
        key: what each token offers; several query heads may share one.
        value: what each token gives.
        mask: True where a query may look; None: all keys up to its own place.
        scale: what the scores are multiplied by.

    Shapes:
        query: [B, Q, H, D]; key: [B, K, G, D]; value: [B, K, G, V], G divides H;
        mask: [B or 1, 1, Q, K]; returns [B, Q, H, V].

    Source: Vaswani et al., arXiv:1706.03762, equation 1.
    """
    plain = is_short(query.device, key.shape[1])
    return (attend_plain if plain else attend_fused)(query, key, value, mask, scale)


def is_short(device: torch.device, keys: int) -> bool:
    """Whether plain products are faster here than the fused kernel."""
    return device.type == "cpu" and keys <= LONGEST_PLAIN


def softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Attention weights in float32; without a mask, each query sees up to its place.

    Shapes:
        scores: [B, H, Q, K]; mask: [B or 1, 1, Q, K], True where a query may look;
        returns [B, H, Q, K].
    """
    queries, keys = scores.shape[-2:]
    if mask is None and queries > 1:
        ones = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=scores.device)
        mask = ones.tril(keys - queries)
    if mask is not None:
        closed = torch.zeros_like(mask, dtype=scores.dtype)
        scores = scores + closed.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1, dtype=torch.float32)


def attend_plain(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """The formula as it is written, with two batched matrix products."""
    batch, queries, heads, width = query.shape
    groups = key.shape[2]
    # The query heads of one group stand one below the other: [B, G, (H/G)·Q, D].
    stacked = (query * scale).unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4)
    stacked = stacked.reshape(batch, groups, -1, width)
    scores = stacked @ key.permute(0, 2, 3, 1)  # [B, G, (H/G)·Q, K]
    scores = scores.reshape(batch, heads, queries, -1)
    weights = softmax(scores, mask).to(value.dtype)
    weights = weights.unflatten(1, (groups, -1))  # [B, G, H/G, Q, K]
    mixed = weights.flatten(2, 3) @ value.transpose(1, 2)  # [B, G, (H/G)·Q, V]
    mixed = mixed.unflatten(2, (-1, queries)).permute(0, 3, 1, 2, 4)
    return mixed.flatten(2, 3)


def attend_fused(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """PyTorch's own kernel, which never stores all scores at once."""
    mixed = F.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=mask,
        is_causal=mask is None and query.shape[1] > 1,
        scale=scale,
        enable_gqa=query.shape[2] != key.shape[2],
    )
    return mixed.transpose(1, 2)
