"""Read a Llama model from a GGUF file, llama.cpp's format, and undo its quantization.

The `gguf` package reads the container and the number formats. What is left to us is to
give the tensors their published names, and to undo the reordering of query and key rows
that llama.cpp makes for its own rotation.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparrow.config import Config
from sparrow.errors import CheckpointError, ConfigError
from sparrow.language import _

__all__ = ["read"]

NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")


def read(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """The configuration and the float32 weights, under their published names.

    Raises:
        CheckpointError: the file is truncated, foreign, or no Llama model.
    """
    import gguf  # late: it is needed for this format only

    try:
        reader = gguf.GGUFReader(path)
        told = {name: each.contents() for name, each in reader.fields.items()}
        config = _configure(told, has_head=_has_head(reader))
        tensors = {}
        for each in reader.tensors:
            values = gguf.dequantize(each.data, each.tensor_type)
            # float32 tensors are views of the file, which is mapped for reading only
            values = values if values.flags.writeable else np.array(values)
            tensor = torch.from_numpy(values)
            tensors[_rename(each.name)] = _reorder(each.name, tensor, config)
    except (OSError, ValueError, KeyError, IndexError, ConfigError) as error:
        raise CheckpointError(
            _(
                "{path} is not a whole GGUF file of a Llama model ({reason}); fetch it "
                "again.",
                path=path,
                reason=error,
            )
        ) from error
    return config, tensors


def _has_head(reader: "gguf.GGUFReader") -> bool:  # type: ignore[name-defined] # noqa: F821
    return any(each.name == "output.weight" for each in reader.tensors)


def _configure(told: dict[str, Any], *, has_head: bool) -> Config:
    """`Config` from GGUF's own words."""
    if told["general.architecture"] != "llama":
        raise ValueError(told["general.architecture"])

    def number(name: str) -> int:
        return int(told[f"llama.{name}"])

    heads = number("attention.head_count")
    return Config(
        attention="gqa",
        feed_forward="dense",
        vocab_size=number("vocab_size"),
        hidden_size=number("embedding_length"),
        num_hidden_layers=number("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=number("attention.head_count_kv"),
        head_dim=number("embedding_length") // heads,
        intermediate_size=number("feed_forward_length"),
        max_position_embeddings=number("context_length"),
        rope_theta=float(told["llama.rope.freq_base"]),
        # float32 in the file: 1e-5 comes back as 9.99e-6
        rms_norm_eps=float(f"{told['llama.attention.layer_norm_rms_epsilon']:.3g}"),
        tie_word_embeddings=not has_head,
        bos_token_id=_optional(told, "tokenizer.ggml.bos_token_id"),
        eos_token_id=_optional(told, "tokenizer.ggml.eos_token_id"),
    )


def _optional(told: dict[str, Any], name: str) -> int | None:
    return int(told[name]) if name in told else None


def _rename(name: str) -> str:
    """The published name of a GGUF tensor."""
    if match := LAYER.fullmatch(name):
        layer, part = match.groups()
        return f"model.layers.{layer}.{LAYER_NAMES[part]}.weight"
    return NAMES[name]


def _reorder(name: str, tensor: Tensor, config: Config) -> Tensor:
    """Undo llama.cpp's pairing of rows: neighbours go back to halves of each head."""
    if ".attn_q." not in name and ".attn_k." not in name:
        return tensor
    pairs = tensor.unflatten(0, (-1, config.head_dim // 2, 2))  # [H, R/2, 2, D]
    return pairs.transpose(1, 2).flatten(0, 2).contiguous()
