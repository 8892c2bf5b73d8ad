"""Count what a past token costs attention, for each way to remember it.

All counts are for one layer and one sequence. A FLOP is one multiplication or one
addition, so a product of two numbers that goes into a sum counts as two.
"""

from dataclasses import dataclass

from sparrow.config import Config

__all__ = ["StepCost", "absorb", "expanded_features", "keep", "rebuild"]


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """What it costs one layer to write one new token.

    Args:
        numbers_per_past_token: what is kept, and read again at every step.
        flops_per_past_token: work that grows with the length of the past.
        flops_once: work that one new token needs, however long the past is.
    """

    numbers_per_past_token: int
    flops_per_past_token: int
    flops_once: int

    def flops(self, past_tokens: int) -> int:
        """Work of one step over so long a past."""
        return self.flops_once + past_tokens * self.flops_per_past_token


def expanded_features(config: Config) -> int:
    """Numbers a token leaves in one layer if every head's key and value is kept.

    Source: arXiv:2412.19437, section 2.1.1: keys have N + R features, values V.
    """
    head = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    return config.num_attention_heads * head


def keep(config: Config) -> StepCost:
    """Keep every head's key and value: read much, compute little.

    The new token's own key and value are made once, from its latent.
    """
    features = expanded_features(config)
    return StepCost(
        numbers_per_past_token=features,
        flops_per_past_token=2 * features,
        flops_once=2 * _made(config) * config.kv_lora_rank,
    )


def rebuild(config: Config) -> StepCost:
    """Keep latents, rebuild all keys and values at every step."""
    latent = config.kv_lora_rank
    return StepCost(
        numbers_per_past_token=latent + config.qk_rope_head_dim,
        flops_per_past_token=2 * _made(config) * latent + 2 * expanded_features(config),
        flops_once=0,
    )


def absorb(config: Config) -> StepCost:
    """Keep latents, carry the query to them and the mixture back.

    Source: arXiv:2405.04434, section 2.1.2.
    """
    heads, latent = config.num_attention_heads, config.kv_lora_rank
    row = latent + config.qk_rope_head_dim
    return StepCost(
        numbers_per_past_token=row,
        flops_per_past_token=2 * heads * (row + latent),
        flops_once=2 * _made(config) * latent,
    )


def _made(config: Config) -> int:
    """Features that a token's latent is multiplied up to, over all heads."""
    return config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim)
