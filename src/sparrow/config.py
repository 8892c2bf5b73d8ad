"""One frozen record says what a model is; it refuses to describe one that cannot be.

The fields have the names of Hugging Face's `config.json`, so that a learner who opens
any published DeepSeek-V3 or Llama checkpoint meets the same words.
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal, Self

from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["PRESETS", "Config", "Yarn"]

Attention = Literal["mla", "gqa"]
FeedForward = Literal["moe", "dense"]


@dataclass(frozen=True, kw_only=True)
class Yarn:
    """Stretch a trained context: YaRN (arXiv:2309.00071, section 3.4).

    Fast-turning frequencies stay, slow ones are divided by `factor`, those between
    are blended. `beta_fast` and `beta_slow` are turns over the original context.
    """

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 1.0
    mscale_all_dim: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ConfigError` where the numbers make no sense."""
        _at_least("factor", self.factor, 1.0)
        _at_least(
            "original_max_position_embeddings", self.original_max_position_embeddings, 1
        )
        if not self.beta_fast > self.beta_slow > 0:
            raise ConfigError(
                _(
                    "beta_fast must be above beta_slow, and both above 0; "
                    "got {fast} and {slow}.",
                    fast=self.beta_fast,
                    slow=self.beta_slow,
                )
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a model is. Sizes are counts of features, heads, layers, experts or tokens.

    `attention="mla"` with `feed_forward="moe"` is DeepSeek-V3's design
    (arXiv:2412.19437, section 2.1); `"gqa"` with `"dense"` is Llama's, which lets
    real weights in. Any of the four pairs can be trained; the two named ones can
    be saved as Hugging Face checkpoints.

    Raises:
        ConfigError: the fields contradict each other; the sentence names them.
    """

    attention: Attention = "mla"
    feed_forward: FeedForward = "moe"

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int

    # Multi-head latent attention (section 2.1.1)
    q_lora_rank: int | None = None
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0

    # Grouped-query attention (arXiv:2305.13245)
    num_key_value_heads: int = 0
    head_dim: int = 0

    # DeepSeekMoE with bias-only load balancing (section 2.1.2)
    n_routed_experts: int = 0
    n_shared_experts: int = 0
    num_experts_per_tok: int = 0
    moe_intermediate_size: int = 0
    first_k_dense_replace: int = 0
    n_group: int = 1
    topk_group: int = 1
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0

    # Multi-token prediction (section 2.2)
    num_nextn_predict_layers: int = 0

    rope_theta: float = 10_000.0
    yarn: Yarn | None = None
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False
    bos_token_id: int | None = None
    eos_token_id: int | None = None

    def __post_init__(self) -> None:
        """Check every field against the others."""
        _one_of("attention", self.attention, ("mla", "gqa"))
        _one_of("feed_forward", self.feed_forward, ("moe", "dense"))
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
        ):
            _at_least(name, getattr(self, name), 1)
        _at_least("num_nextn_predict_layers", self.num_nextn_predict_layers, 0)
        if self.attention == "mla":
            self._check_latent_attention()
        else:
            self._check_grouped_attention()
        if self.feed_forward == "moe":
            self._check_experts()

    def _check_latent_attention(self) -> None:
        for name in ("kv_lora_rank", "qk_nope_head_dim", "v_head_dim"):
            _at_least(name, getattr(self, name), 1)
        if self.q_lora_rank is not None:
            _at_least("q_lora_rank", self.q_lora_rank, 1)
        _even("qk_rope_head_dim", self.qk_rope_head_dim)

    def _check_grouped_attention(self) -> None:
        _at_least("num_key_value_heads", self.num_key_value_heads, 1)
        _even("head_dim", self.head_dim)
        _divides(
            "num_key_value_heads",
            self.num_key_value_heads,
            "num_attention_heads",
            self.num_attention_heads,
        )

    def _check_experts(self) -> None:
        _at_least("n_routed_experts", self.n_routed_experts, 1)
        _at_least("moe_intermediate_size", self.moe_intermediate_size, 1)
        _at_least("n_shared_experts", self.n_shared_experts, 0)
        _within(
            "first_k_dense_replace",
            self.first_k_dense_replace,
            0,
            self.num_hidden_layers,
        )
        _at_least("n_group", self.n_group, 1)
        _divides("n_group", self.n_group, "n_routed_experts", self.n_routed_experts)
        _within("topk_group", self.topk_group, 1, self.n_group)
        per_group = self.n_routed_experts // self.n_group
        if self.n_group > 1 and per_group < 2:
            raise ConfigError(
                _(
                    "each of the {groups} groups needs at least 2 experts, since a "
                    "group is judged by its best two; got {experts} experts.",
                    groups=self.n_group,
                    experts=self.n_routed_experts,
                )
            )
        _within(
            "num_experts_per_tok",
            self.num_experts_per_tok,
            1,
            self.topk_group * per_group,
        )

    @classmethod
    def preset(cls, name: str) -> Self:
        """A configuration by name: `pico`, `mini` or `smollm2`.

        Raises:
            ConfigError: there is no preset of that name.
        """
        if name not in PRESETS:
            raise ConfigError(
                _(
                    'there is no preset "{name}"; choose one of: {known}.',
                    name=name,
                    known=", ".join(PRESETS),
                )
            )
        return cls(**PRESETS[name])  # type: ignore[arg-type]

    def replace(self, **changes: object) -> Self:
        """The same configuration with some fields changed, checked again."""
        known = {each.name for each in fields(self)}
        for name in changes:
            _one_of("field", name, tuple(sorted(known)))
        return type(self)(**{**self._values(), **changes})  # type: ignore[arg-type]

    def _values(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def to_dict(self) -> dict[str, object]:
        """The fields as plain data, for logs and manifests."""
        return asdict(self)

    def is_moe_layer(self, layer: int) -> bool:
        """Whether layer `layer` has experts; the first ones may be dense."""
        return self.feed_forward == "moe" and layer >= self.first_k_dense_replace

    @property
    def rotary_dim(self) -> int:
        """How many features of a head are rotated."""
        return self.qk_rope_head_dim if self.attention == "mla" else self.head_dim


# pico: learns on two CPU cores in minutes. mini: one card of 16 GB.
# smollm2: the shape of SmolLM2-135M-Instruct, whose real weights fit it.
PRESETS: dict[str, dict[str, object]] = {
    "pico": {
        "vocab_size": 512,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 384,
        "max_position_embeddings": 512,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 16,
        "v_head_dim": 32,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 96,
        "first_k_dense_replace": 1,
        "routed_scaling_factor": 1.0,
        "num_nextn_predict_layers": 1,
        "tie_word_embeddings": True,
    },
    "mini": {
        "vocab_size": 8192,
        "hidden_size": 512,
        "num_hidden_layers": 10,
        "num_attention_heads": 8,
        "intermediate_size": 1536,
        "max_position_embeddings": 2048,
        "q_lora_rank": 256,
        "kv_lora_rank": 128,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 32,
        "v_head_dim": 64,
        "n_routed_experts": 16,
        "n_shared_experts": 1,
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 256,
        "first_k_dense_replace": 1,
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 2.5,
        "num_nextn_predict_layers": 1,
    },
    "smollm2": {
        "attention": "gqa",
        "feed_forward": "dense",
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
        "rope_theta": 100_000.0,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
}


def _at_least(name: str, got: float, low: float) -> None:
    if got < low:
        raise ConfigError(
            _("{name} must be at least {low}, got {got}.", name=name, low=low, got=got)
        )


def _within(name: str, got: int, low: int, high: int) -> None:
    if not low <= got <= high:
        raise ConfigError(
            _(
                "{name} must be in {low}..{high}, got {got}.",
                name=name,
                low=low,
                high=high,
                got=got,
            )
        )


def _even(name: str, got: int) -> None:
    if got < 2 or got % 2:
        raise ConfigError(
            _(
                "{name} must be even and at least 2, since features turn in pairs; "
                "got {got}.",
                name=name,
                got=got,
            )
        )


def _divides(name: str, got: int, whole_name: str, whole: int) -> None:
    if whole % got:
        raise ConfigError(
            _(
                "{name} must divide {whole_name}; got {got} and {whole}.",
                name=name,
                whole_name=whole_name,
                got=got,
                whole=whole,
            )
        )


def _one_of(name: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ConfigError(
            _(
                '{name} must be one of {known}; got "{got}".',
                name=name,
                known=", ".join(known),
                got=got,
            )
        )
