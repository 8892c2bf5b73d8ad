"""What lab 09 leaves behind: a model in few bits, and what its learner claims of it.

Whoever grades lets it read and answer again, instead of believing a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparrow import checkpoints, runtime
from sparrow.evaluate import quantized, texts
from sparrow.evaluate.quantized import Measured
from sparrow.evaluate.texts import Text
from sparrow.model import Sparrow
from sparrow.model.weights import aligned
from sparrow.quant import stored
from sparrow.quant.linear import AffineLinear, QuantizedLinear
from sparrow.text import Tokenizer
from sparrow.train import handed_in

__all__ = ["BEFORE", "FILE", "Evidence", "before", "calibration", "leave", "measure"]

FILE = "09_quantization.safetensors"
BEFORE = "pico-r1"  # the model that every learner quantizes
QUESTIONS = 200  # held out: it answers them, and reads its own answers to them
ROWS = 32  # of calibration
CODES = (torch.int8, torch.uint8, torch.float8_e4m3fn)


@dataclass(frozen=True)
class Evidence:
    """The learner's model, and what the learner says of it."""

    model: Sparrow
    claim: dict[str, Any]


@cache
def original() -> tuple[Sparrow, Tokenizer]:
    """The model that everybody begins with."""
    return handed_in.opened(checkpoints.find(BEFORE))


@cache
def calibration() -> Tensor:
    """Its answers to questions of the training side, [R, T]."""
    return texts.calibration_text(*original(), ROWS, is_trained=True)


@cache
def _text() -> Text:
    return texts.own_answers(*original(), QUESTIONS, held_out=True)


def measure(model: Sparrow) -> Measured:
    """Let a model read the original's answers, and answer the questions itself."""
    tokenizer = original()[1]
    with runtime.fast_matmul():
        return quantized.measure(model, tokenizer, _text(), texts.task_of(QUESTIONS))


@cache
def before() -> Measured:
    """The original, measured once a session."""
    return measure(original()[0])


def leave(path: Path, *, model: Sparrow, claim: Mapping[str, Any]) -> Path:
    """Write the evidence.

    Args:
        path: the file to write.
        model: quantized.
        claim: what the learner found.

    Raises:
        CheckpointError: the model is not quantized.
    """
    matrices, tensors = stored.packed(model)
    tensors = {f"model.{name}": each for name, each in tensors.items()}
    return handed_in.pack(path, tensors, {"matrices": matrices, "claim": dict(claim)})


def read(data: bytes) -> Evidence:
    """The evidence in a file that nobody vouches for.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    with handed_in.damage_in_words():
        told, tensors = handed_in.unpack(data)
        matrices, claim = dict(told["matrices"]), dict(told["claim"])
        own = handed_in.of_model(tensors)
        _refuse_strange(own)
        own = {name: aligned(each) for name, each in own.items()}
        model = stored.assemble(original()[0].config, matrices, own)
        for each in model.modules():
            if isinstance(each, QuantizedLinear):
                _refuse_crooked(each)
    return Evidence(model, claim)


def _refuse_strange(tensors: Mapping[str, Tensor]) -> None:
    """Codes are codes, and everything else is a number."""
    for name, each in tensors.items():
        is_code = name.endswith(".codes") and each.dtype in CODES
        if not is_code and not each.float().isfinite().all():
            raise ValueError(f"{name}: not finite")
        if name.endswith(".codes") and not is_code:
            raise ValueError(f"{name}: {each.dtype}")


def _refuse_crooked(layer: QuantizedLinear) -> None:
    """A kernel trusts these shapes, and would read beyond the end."""
    if isinstance(layer, AffineLinear):
        whole = (layer.out_features, layer.in_features // layer.group_size)
        grids = [layer.scale] if layer.zero is None else [layer.scale, layer.zero]
        if any(each.shape != whole for each in grids):
            raise ValueError(f"scale: {[list(each.shape) for each in grids]}")
    if layer.weight.shape != (layer.out_features, layer.in_features):
        raise ValueError(f"codes: {list(layer.weight.shape)}")


@lru_cache(maxsize=1)
def measured(data: bytes) -> dict[str, Any]:
    """What a file's model weighs, reads and answers, beside the original.

    Raises:
        CheckpointError: it is damaged, or holds something else.
    """
    found = read(data)
    with handed_in.damage_in_words():
        after = measure(found.model)
    told: dict[str, Any] = {
        "bytes": after.bytes,
        "weights": original()[0].count_parameters(),
        "claim": found.claim,
    }
    for name, each in {"before": before(), "after": after}.items():
        assert each.answers is not None, "the examination asks questions"
        right = [bool(row[0].reward == 1) for row in each.answers.scores]
        told[name] = {"losses": each.losses.tolist(), "right": right}
    return told
