"""Keep a quantized model in two files that say themselves how to read them.

config.json          the model, in Hugging Face's words, and for each matrix its
                     kind, bits and group under "quantization_config"
model.safetensors    codes, scales and zeros, and what was not quantized
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from sparrow.config import Config
from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.model import Sparrow, published, rope
from sparrow.model.weights import CONFIG, WEIGHTS, aligned
from sparrow.quant import apart, convert
from sparrow.quant.linear import (
    AffineLinear,
    DynamicLinear,
    Fp8Linear,
    QuantizedEmbedding,
    QuantizedLinear,
)
from sparrow.runtime import atomic_write

__all__ = ["assemble", "is_stored", "load", "open_model", "packed", "save"]

KEY, METHOD, VERSION = "quantization_config", "sparrow", 1
KINDS: dict[str, type[AffineLinear] | type[Fp8Linear]] = {
    "affine": AffineLinear,
    "dynamic": DynamicLinear,
    "fp8": Fp8Linear,
}
TABLE = "embed_tokens.matrix"


def save(model: Sparrow, folder: Path) -> None:
    """Write the two files, each whole or not at all.

    Raises:
        CheckpointError: the model is not quantized, or has no published layout.
        StorageError: the folder cannot be written; the old files are untouched.
    """
    settings, tensors = packed(model)
    told = published.describe(model.config)
    told[KEY] = {"quant_method": METHOD, "version": VERSION, "matrices": settings}
    with atomic_write(folder / WEIGHTS) as file:
        file.write(to_bytes(tensors, metadata={"format": "pt"}))
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(told, indent=1).encode() + b"\n")


def packed(model: Sparrow) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """How to read each matrix, and all tensors: what `assemble` makes a model of.

    Raises:
        CheckpointError: the model is not quantized.
    """
    settings = {
        name: each.settings()
        for name, each in model.named_modules(remove_duplicate=False)
        if isinstance(each, QuantizedLinear)
    }
    if not settings:
        raise CheckpointError(
            _("this model is not quantized: write it with save_pretrained.")
        )
    tensors = {
        name: each.contiguous()
        for name, each in model.state_dict().items()
        if not _is_copy(name, model.config)
    }
    return settings, tensors


def _is_copy(name: str, config: Config) -> bool:
    """Whether a tensor is the head's under another name."""
    return config.tie_word_embeddings and name.startswith("embed_tokens.")


def is_stored(folder: Path) -> bool:
    """Whether the folder holds a quantized model."""
    try:
        return KEY in json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def open_model(folder: Path) -> Sparrow:
    """Open a checkpoint, quantized or not.

    Raises:
        CheckpointError: it is missing, truncated, foreign or of another shape.
    """
    return load(folder) if is_stored(folder) else Sparrow.from_pretrained(folder)


def load(folder: Path) -> Sparrow:
    """Open a model that `save` wrote.

    Raises:
        CheckpointError: it is missing, truncated, foreign or of another shape.
    """
    try:
        told = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS)
        tensors = {name: aligned(each) for name, each in tensors.items()}
        matrices = dict(told[KEY]["matrices"])
        method = told[KEY]["quant_method"], told[KEY]["version"]
        config = published.understand(told)
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            _(
                "{folder} holds no quantized model that can be read ({reason}): make "
                "it again with sparrow quantize.",
                folder=folder,
                reason=error,
            )
        ) from error
    if method != (METHOD, VERSION):
        raise CheckpointError(
            _(
                "{folder} was quantized by {method}, version {version}; this reads "
                "{known}, version {latest}.",
                folder=folder,
                method=method[0],
                version=method[1],
                known=METHOD,
                latest=VERSION,
            )
        )
    try:
        return assemble(config, matrices, tensors)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            _(
                "the tensors in {folder} do not fit its config.json ({reason}); make "
                "it again with sparrow quantize.",
                folder=folder,
                reason=str(error).splitlines()[0],
            )
        ) from error


def assemble(
    config: Config, settings: dict[str, Any], tensors: dict[str, Tensor]
) -> Sparrow:
    """A model around these tensors; where they do not fit, an error of Python's."""
    with torch.device("meta"):
        model = Sparrow(config)
    apart.take_apart(model)
    places = {**convert.matrices(model), "lm_head": model.lm_head}
    for name, told in settings.items():
        if name == TABLE:
            continue
        layer = _layer(name, told, tensors)
        place = places[name]
        if (layer.out_features, layer.in_features) != place.weight.shape:
            raise ValueError(f"{name}: {list(place.weight.shape)}")
        model.set_submodule(name, layer)
    if TABLE in settings:
        head = model.lm_head
        is_tied = config.tie_word_embeddings
        table = head if is_tied else _layer(TABLE, settings[TABLE], tensors)
        assert isinstance(table, AffineLinear)
        model.set_submodule("embed_tokens", QuantizedEmbedding(table))
    missing, unknown = model.load_state_dict(tensors, strict=False, assign=True)
    missing = [each for each in missing if not _is_copy(each, config)]
    if missing or unknown:
        raise ValueError(sorted([*missing, *unknown])[0])
    if config.tie_word_embeddings and TABLE not in settings:
        model.embed_tokens.weight = model.lm_head.weight
    model.inverse_freq = rope.frequencies(config)
    return model.eval().requires_grad_(False)


def _layer(name: str, told: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    """The layer that one entry describes."""
    kind = KINDS[told["kind"]]
    parts = ["codes", "weight_scale_inv"] if kind is Fp8Linear else ["codes", "scale"]
    found = [tensors[f"{name}.{part}"] for part in parts]
    if kind is not Fp8Linear:
        found.append(tensors.get(f"{name}.zero"))  # type: ignore[arg-type]
    layer = kind(*found)
    if layer.settings() != told:
        raise ValueError(f"{name}: {told}")
    return layer
