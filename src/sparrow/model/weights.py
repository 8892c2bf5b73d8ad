"""Read and write checkpoints in the layout that transformers, vLLM and DeepSeek use.

    config.json          the configuration, in Hugging Face's words
    model.safetensors    under the names of DeepseekV3ForCausalLM or LlamaForCausalLM

Each expert is saved on its own, and an MTP module as one more layer behind the last,
with its own copy of the embedding and of the head: as DeepSeek publishes its weights.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sparrow.config import Config
from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.model import gguf_file, published, rope
from sparrow.runtime import atomic_write

if TYPE_CHECKING:
    from sparrow.model.transformer import Sparrow

__all__ = ["aligned", "from_published", "load", "save_checkpoint", "to_published"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = "model.safetensors.index.json"
EXPERT = re.compile(r"(.+\.experts)\.(\d+)\.(gate|up|down)_proj\.weight")
SHARED_COPIES = ("embed_tokens.weight", "shared_head.head.weight")

Model = TypeVar("Model", bound="Sparrow")


ALIGNMENT = 64  # bytes


def save_checkpoint(model: "Sparrow", folder: Path) -> None:
    """Write the two files, each whole or not at all.

    Raises:
        CheckpointError: transformers has no layout for this pair of parts.
        StorageError: the folder cannot be written; the old files are untouched.
    """
    told = published.describe(model.config)
    told["dtype"] = str(model.dtype).removeprefix("torch.")
    data = save(to_published(model), metadata={"format": "pt"})
    with atomic_write(folder / WEIGHTS) as file:
        file.write(data)
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(told, indent=2).encode() + b"\n")


def load(model_class: type[Model], path: Path) -> Model:
    """Open a checkpoint folder, or a GGUF file, as a model on the CPU.

    Raises:
        CheckpointError: it is missing, truncated, foreign or of another shape.
    """
    config, tensors = _read(path)
    found = from_published(tensors, config)
    with torch.device("meta"):  # no time is spent on weights that are replaced at once
        model = model_class(config)
    _compare(path, model.state_dict(), found)
    found = {name: aligned(each) for name, each in found.items()}
    model.load_state_dict(found, assign=True)
    model.inverse_freq = rope.frequencies(config)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.embed_tokens.weight
    return model


def aligned(tensor: Tensor) -> Tensor:
    """The same numbers at an address as PyTorch would choose.

    A mapped file begins where it likes, and the last bits of a product may depend on
    that: two runs from one checkpoint could differ. And some kernels crash there.
    """
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


def to_published(model: "Sparrow") -> dict[str, Tensor]:
    """Every weight under its published name, experts one by one."""
    config = model.config
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        layer_name = _publish_name(name, config)
        if name.endswith("experts.gate_up_proj"):
            stem = layer_name.removesuffix(".gate_up_proj")
            for expert, both in enumerate(value):
                gate, up = both.chunk(2)
                tensors[f"{stem}.{expert}.gate_proj.weight"] = gate.contiguous()
                tensors[f"{stem}.{expert}.up_proj.weight"] = up.contiguous()
        elif name.endswith("experts.down_proj"):
            stem = layer_name.removesuffix(".down_proj")
            for expert, down in enumerate(value):
                tensors[f"{stem}.{expert}.down_proj.weight"] = down.contiguous()
        else:
            tensors[layer_name] = value
    if config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    for depth in range(config.num_nextn_predict_layers):
        stem = f"model.layers.{config.num_hidden_layers + depth}"
        # copies, since a safetensors file holds no two names for one memory
        tensors[f"{stem}.embed_tokens.weight"] = model.embed_tokens.weight.data.clone()
        tensors[f"{stem}.shared_head.head.weight"] = model.lm_head.weight.data.clone()
    return tensors


def from_published(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The other way: published names to Sparrow's, experts stacked."""
    found: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[int, Tensor]] = {}
    for name, value in tensors.items():
        if not value.numel():
            continue  # transformers writes an empty expert where there is no shared one
        own = _own_name(name, config)
        if match := EXPERT.fullmatch(own):
            stem, expert, part = match.groups()
            parts.setdefault((stem, part), {})[int(expert)] = value
        elif not (own.startswith("mtp.") and own.endswith(SHARED_COPIES)):
            found[own] = value
    stacked = {
        (stem, part): torch.stack([each[expert] for expert in sorted(each)])
        for (stem, part), each in parts.items()
    }
    for stem in {stem for stem, _part in stacked}:
        both = [
            stacked[stem, part] for part in ("gate", "up") if (stem, part) in stacked
        ]
        found[f"{stem}.gate_up_proj"] = torch.cat(both, dim=1)
        if (stem, "down") in stacked:
            found[f"{stem}.down_proj"] = stacked[stem, "down"]
    if config.tie_word_embeddings and "embed_tokens.weight" in found:
        found["lm_head.weight"] = found["embed_tokens.weight"]
    return found


def _publish_name(name: str, config: Config) -> str:
    """`mtp.0.block.mlp…` becomes `model.layers.L.mlp…`; the head keeps its name."""
    if name.startswith("lm_head"):
        return name
    if name.startswith("mtp."):
        _mtp, depth, rest = name.split(".", 2)
        layer = config.num_hidden_layers + int(depth)
        return f"model.layers.{layer}.{rest.removeprefix('block.')}"
    return f"model.{name}"


def _own_name(name: str, config: Config) -> str:
    """The inverse of `_publish_name`."""
    own = name.removeprefix("model.")
    if not own.startswith("layers."):
        return own
    _layers, layer, rest = own.split(".", 2)
    depth = int(layer) - config.num_hidden_layers
    if depth < 0:
        return own
    outside = ("enorm", "hnorm", "eh_proj", "shared_head", "embed_tokens")
    block = "" if rest.startswith(outside) else "block."
    return f"mtp.{depth}.{block}{rest}"


def _read(path: Path) -> tuple[Config, dict[str, Tensor]]:
    if path.is_file() and path.suffix == ".gguf":
        return gguf_file.read(path)
    if not path.is_dir():
        raise CheckpointError(
            _(
                "there is no checkpoint at {path}: give a folder or a .gguf file.",
                path=path,
            )
        )
    has_safetensors = (path / WEIGHTS).exists() or (path / INDEX).exists()
    if not has_safetensors and (files := sorted(path.glob("*.gguf"))):
        return gguf_file.read(files[0])
    try:
        told = json.loads((path / CONFIG).read_text("utf-8"))
        return published.understand(told), _read_tensors(path)
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        raise CheckpointError(
            _(
                "the checkpoint in {path} cannot be read ({reason}): a file is missing "
                "or was cut short; copy it again.",
                path=path,
                reason=error,
            )
        ) from error


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All weights, from one file or from the files that an index names."""
    if not (folder / INDEX).exists():
        return load_file(folder / WEIGHTS)
    index = json.loads((folder / INDEX).read_text("utf-8"))
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(index["weight_map"].values())):
        tensors |= load_file(folder / Path(file).name)
    return tensors


def _compare(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Refuse a checkpoint whose names or shapes are not this model's."""
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or unknown:
        raise CheckpointError(
            _(
                "the weights in {path} do not fit its config.json: {missing} are "
                "missing and {unknown} are unknown, the first of them {first}.",
                path=path,
                missing=len(missing),
                unknown=len(unknown),
                first=min(missing | unknown),
            )
        )
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise CheckpointError(
                _(
                    "{name} in {path} has shape {got}; config.json asks for {want}.",
                    name=name,
                    path=path,
                    got=list(found[name].shape),
                    want=list(tensor.shape),
                )
            )
