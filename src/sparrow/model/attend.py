"""Mix values by how well their keys fit the query: softmax(q · kᵀ · scale) v."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["attend", "attend_fused", "attend_plain"]

# On a CPU, short texts are faster with plain matrix products than with PyTorch's fused
# kernel, which is made for long ones (measured: `make bench`, name "attention").
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
    is_short = query.device.type == "cpu" and key.shape[1] <= LONGEST_PLAIN
    return (attend_plain if is_short else attend_fused)(query, key, value, mask, scale)


def attend_plain(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """The formula as it is written, with two batched matrix products."""
    batch, queries, _heads, width = query.shape
    groups = key.shape[2]
    # The query heads of one group stand one below the other: [B, G, (H/G)·Q, D].
    stacked = (query * scale).unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4)
    stacked = stacked.reshape(batch, groups, -1, width)
    scores = stacked @ key.permute(0, 2, 3, 1)  # [B, G, (H/G)·Q, K]
    scores = scores.unflatten(2, (-1, queries))  # [B, G, H/G, Q, K]
    if mask is None and queries > 1:
        mask = scores.new_ones(1, 1, queries, queries, dtype=torch.bool).tril()
    if mask is not None:
        closed = torch.zeros_like(mask, dtype=scores.dtype)
        scores = scores + closed.masked_fill(~mask, float("-inf"))[:, :, None]
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
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
