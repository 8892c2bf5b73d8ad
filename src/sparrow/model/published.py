"""Say a configuration in the words of a published `config.json`, and read one back."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sparrow.config import Config, Yarn
from sparrow.errors import CheckpointError, ConfigError
from sparrow.language import _

__all__ = ["describe", "understand"]

DEEPSEEK, LLAMA = "deepseek_v3", "llama"
ARCHITECTURES = {DEEPSEEK: "DeepseekV3ForCausalLM", LLAMA: "LlamaForCausalLM"}

COMMON = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rope_theta",
    "rms_norm_eps",
    "initializer_range",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
)
LATENT = (
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "num_nextn_predict_layers",
)
EXPERTS = (
    "n_routed_experts",
    "n_shared_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "first_k_dense_replace",
    "n_group",
    "topk_group",
    "norm_topk_prob",
    "routed_scaling_factor",
)
GROUPED = ("num_key_value_heads", "head_dim")

# Parts of published models that Sparrow does not have: only these values are read.
FIXED: dict[str, tuple[object, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "rope_interleave": (True, None),
}


def describe(config: Config) -> dict[str, object]:
    """The `config.json` of this model.

    Raises:
        CheckpointError: transformers has no model class for this pair of parts.
    """
    names: tuple[str, ...]
    if config.attention == "mla":
        experts = EXPERTS if config.feed_forward == "moe" else ()
        kind, names = DEEPSEEK, COMMON + LATENT + experts
    elif config.feed_forward == "dense" and not config.num_nextn_predict_layers:
        kind, names = LLAMA, COMMON + GROUPED
    else:
        raise CheckpointError(
            _(
                "grouped-query attention is saved in Llama's layout, which has no "
                "experts and no MTP: use attention=mla, or feed_forward=dense without "
                "num_nextn_predict_layers."
            )
        )
    told: dict[str, object] = {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        **{name: getattr(config, name) for name in names},
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_scaling": _describe_yarn(config.yarn),
    }
    if kind == DEEPSEEK:
        told["num_key_value_heads"] = config.num_attention_heads
        told["rope_interleave"] = True
    if kind == DEEPSEEK and config.feed_forward == "dense":
        told["first_k_dense_replace"] = config.num_hidden_layers
    return told


def _describe_yarn(yarn: Yarn | None) -> dict[str, object] | None:
    if yarn is None:
        return None
    told = {each.name: getattr(yarn, each.name) for each in fields(yarn)}
    return {"type": "yarn", "rope_type": "yarn", **told}


def understand(told: Mapping[str, Any]) -> Config:
    """The configuration that a `config.json` describes.

    Raises:
        CheckpointError: it describes a model that Sparrow cannot be.
    """
    kind = told.get("model_type")
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            _(
                'this checkpoint is a "{kind}" model; Sparrow reads {known}.',
                kind=kind,
                known=", ".join(ARCHITECTURES),
            )
        )
    for name, accepted in FIXED.items():
        if name in told and told[name] not in accepted:
            raise CheckpointError(
                _(
                    "this checkpoint has {name} = {got}, which Sparrow does not have; "
                    "it reads {accepted} only.",
                    name=name,
                    got=told[name],
                    accepted=accepted[0],
                )
            )
    names = COMMON + (LATENT + EXPERTS if kind == DEEPSEEK else GROUPED)
    values = {name: told[name] for name in names if told.get(name) is not None}
    rope_told = {
        **(told.get("rope_scaling") or {}),
        **(told.get("rope_parameters") or {}),
    }
    values["rope_theta"] = rope_told.pop("rope_theta", values.get("rope_theta", 1e4))
    values["yarn"] = _understand_yarn(rope_told, values)
    if kind == LLAMA:
        values["attention"], values["feed_forward"] = "gqa", "dense"
        values.setdefault("num_key_value_heads", values.get("num_attention_heads"))
        _default_head_dim(values)
    elif values.get("first_k_dense_replace", 0) >= values.get("num_hidden_layers", 0):
        values = {name: each for name, each in values.items() if name not in EXPERTS}
        values["feed_forward"] = "dense"
    try:
        return Config(**values)
    except (TypeError, ConfigError) as error:
        raise CheckpointError(
            _("config.json does not describe a whole model: {reason}", reason=error)
        ) from error


def _default_head_dim(values: dict[str, Any]) -> None:
    """Older Llama files leave head_dim out."""
    if "head_dim" not in values and values.get("num_attention_heads"):
        values["head_dim"] = (
            values.get("hidden_size", 0) // values["num_attention_heads"]
        )


def _understand_yarn(told: dict[str, Any], values: Mapping[str, Any]) -> Yarn | None:
    kind = told.get("rope_type", told.get("type", "default"))
    if kind == "default":
        return None
    if kind != "yarn":
        raise CheckpointError(
            _(
                'this checkpoint stretches its context by "{kind}"; Sparrow has yarn.',
                kind=kind,
            )
        )
    original = told.get("original_max_position_embeddings") or values.get(
        "max_position_embeddings", 1
    )
    factor = told.get("factor") or values.get("max_position_embeddings", 1) / original
    return Yarn(
        factor=factor,
        original_max_position_embeddings=original,
        beta_fast=told.get("beta_fast") or 32.0,
        beta_slow=told.get("beta_slow") or 1.0,
        mscale=told.get("mscale", 1.0),
        mscale_all_dim=told.get("mscale_all_dim", 0.0),
    )
