"""Carry plain data between the sandbox and the grader: JSON and safetensors, capped.

A message is `length of the JSON, 4 bytes` + JSON + safetensors. Whoever reads it must
treat it as hostile, so nothing here can carry code, and everything has a limit.
"""

import json
import math
import struct
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from sparrow.checks.protocol import Plain
from sparrow.errors import WireError
from sparrow.language import _

__all__ = ["MAX_BYTES", "decode", "encode"]

MAX_BYTES = 32 * 1024**2
MAX_JSON_BYTES = 1024**2
MAX_DEPTH = 64
MAX_TENSORS = 4096
MAX_AXES = 12
MAX_DIGITS = 400  # of a whole number; converting longer ones takes long
LENGTH = struct.Struct(">I")
# What a learner's code may answer with; the exotic ones have half-written arithmetic.
DTYPES = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)


def encode(value: Plain) -> bytes:
    """Plain data as bytes.

    Raises:
        WireError: it is too large, too deep, or holds what cannot be carried.
    """
    tensors: dict[str, Tensor] = {}
    try:
        header = json.dumps(_pack(value, tensors, 0), allow_nan=False).encode()
        blob = save(tensors) if tensors else b""
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise WireError(
            _("This cannot be sent ({error}): send plain data.", error=error)
        ) from error
    message = LENGTH.pack(len(header)) + header + blob
    if len(message) > MAX_BYTES or len(header) > MAX_JSON_BYTES:
        raise _too_large()
    return message


def decode(message: bytes) -> Plain:
    """The plain data of a message that nobody vouches for.

    Raises:
        WireError: it is no message, or breaks a limit.
    """
    if len(message) > MAX_BYTES:
        raise _too_large()
    if len(message) < LENGTH.size:
        raise _broken(_("it is too short"))
    (length,) = LENGTH.unpack_from(message)
    header, blob = message[LENGTH.size :][:length], message[LENGTH.size + length :]
    if length > MAX_JSON_BYTES or len(header) != length:
        raise _broken(_("its length is wrong"))
    tree = _parse(header)
    try:
        tensors = load(blob) if blob else {}
    except Exception as error:  # the parser has its own kinds of error
        raise _broken(_("its tensors are damaged")) from error
    if len(tensors) > MAX_TENSORS:
        raise _too_large()
    for tensor in tensors.values():
        if tensor.dtype not in DTYPES or tensor.dim() > MAX_AXES:
            raise _broken(_("it holds a tensor of a strange kind"))
    return _unpack(tree, tensors)


def _pack(value: Plain, tensors: dict[str, Tensor], depth: int) -> Any:
    """JSON in which a dictionary is `{"d": …}`, a tensor `{"t": key}`, ∞ `{"f": …}`."""
    if depth > MAX_DEPTH:
        raise WireError(_("This cannot be sent: it is nested too deeply."))
    if isinstance(value, Tensor):
        if value.dtype not in DTYPES:
            raise WireError(
                _("A tensor of type {dtype} cannot be sent.", dtype=value.dtype)
            )
        key = str(len(tensors))
        # A copy of its own: safetensors refuses tensors that share memory.
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"t": key}
    if isinstance(value, list):
        return [_pack(each, tensors, depth + 1) for each in value]
    if isinstance(value, dict):
        packed = {key: _pack(each, tensors, depth + 1) for key, each in value.items()}
        return {"d": packed}
    if isinstance(value, float) and not math.isfinite(value):
        return {"f": repr(float(value))}
    return value


def _parse(header: bytes) -> Any:
    try:
        return json.loads(header, parse_int=_whole, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(_("it is no JSON")) from error


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number with too many digits")
    return int(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _unpack(tree: Any, tensors: dict[str, Tensor], depth: int = 0) -> Plain:
    if depth > MAX_DEPTH:
        raise _broken(_("it is nested too deeply"))
    if isinstance(tree, list):
        return [_unpack(each, tensors, depth + 1) for each in tree]
    if not isinstance(tree, dict):
        return tree
    match tree:
        case {"d": dict(inner)} if len(tree) == 1:
            pairs = inner.items()
            return {key: _unpack(each, tensors, depth + 1) for key, each in pairs}
        case {"t": str(key)} if len(tree) == 1 and key in tensors:
            return tensors[key]
        case {"f": "nan" | "inf" | "-inf" as text} if len(tree) == 1:
            return float(text)
    raise _broken(_("it has a part that means nothing"))


def _broken(reason: str) -> WireError:
    return WireError(_("The reply cannot be read: {reason}.", reason=reason))


def _too_large() -> WireError:
    return WireError(
        _("The reply is larger than {n} MiB.", n=MAX_BYTES // 1024**2),
    )
