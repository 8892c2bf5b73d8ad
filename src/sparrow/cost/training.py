"""Count the sums of one token of training, from the shape of the model alone."""

from sparrow.config import Config

__all__ = ["active_parameters", "training_flops_per_token"]


def active_parameters(config: Config) -> int:
    """Numbers of the matrices that one token really meets, MTP modules included.

    Only the chosen experts count; the embedding is looked up, not multiplied.
    """
    depth = config.num_nextn_predict_layers
    layers = range(config.num_hidden_layers + depth)
    body = sum(_attention(config) + _feed_forward(config, each) for each in layers)
    joins = depth * 2 * config.hidden_size**2
    heads = (1 + depth) * config.hidden_size * config.vocab_size
    return body + joins + heads


def training_flops_per_token(config: Config, length: int) -> float:
    """FLOPs of forward and backward pass for one token in rows of `length` tokens.

    Each number of a matrix costs 2 FLOPs on the way forward and 4 on the way back.
    Attention adds a product with each earlier token: length / 2 of them in the mean.
    What is small beside these (norms, rotations, softmax) is left out, as usual.
    """
    if config.attention == "mla":
        head = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    else:
        head = 2 * config.head_dim
    layers = config.num_hidden_layers + config.num_nextn_predict_layers
    looks = layers * config.num_attention_heads * head * length / 2
    return 6 * (active_parameters(config) + looks)


def _attention(config: Config) -> int:
    width, heads = config.hidden_size, config.num_attention_heads
    if config.attention == "gqa":
        groups = 2 * heads + 2 * config.num_key_value_heads  # q and o, k and v
        return width * config.head_dim * groups
    head = config.qk_nope_head_dim + config.qk_rope_head_dim
    latent, value = config.kv_lora_rank, config.v_head_dim
    rank = config.q_lora_rank
    query = width * heads * head if rank is None else rank * (width + heads * head)
    down = width * (latent + config.qk_rope_head_dim)
    up = latent * heads * (config.qk_nope_head_dim + value)
    return query + down + up + heads * value * width


def _feed_forward(config: Config, layer: int) -> int:
    width = config.hidden_size
    if not config.is_moe_layer(layer):
        return 3 * width * config.intermediate_size
    experts = config.num_experts_per_tok + config.n_shared_experts
    gate = width * config.n_routed_experts
    return gate + 3 * width * config.moe_intermediate_size * experts
