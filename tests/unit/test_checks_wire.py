"""Plain data crosses the pipe unchanged; everything else is refused in one sentence."""

import json
import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from sparrow.checks import wire
from sparrow.errors import WireError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_comes_back_equal(value):
    assert wire.decode(wire.encode(value)) == value


def test_dictionaries_that_look_like_our_marks_come_back_equal():
    value = {"t": "0", "d": {"f": "nan"}, "f": "inf"}
    assert wire.decode(wire.encode(value)) == value


@pytest.mark.parametrize("dtype", sorted(wire.DTYPES, key=str))
def test_tensors_come_back_with_type_and_shape(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype).T  # not contiguous
    (back,) = wire.decode(wire.encode([tensor]))
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_tensors_that_share_memory_are_sent_apart():
    base = torch.arange(4.0)
    first, second = wire.decode(wire.encode([base[:2], base[1:]]))
    assert second.tolist() == [1.0, 2.0, 3.0]
    assert first.tolist() == [0.0, 1.0]


def test_special_numbers_come_back():
    nan, plus, minus = wire.decode(wire.encode([math.nan, math.inf, -math.inf]))
    assert math.isnan(nan)
    assert (plus, minus) == (math.inf, -math.inf)


def deep(levels):
    value = []
    for _level in range(levels):
        value = [value]
    return value


COMPLEX = torch.ones(1).to(torch.cfloat)


@pytest.mark.parametrize(
    "value", [object(), deep(100), {1: 2, (3,): 4}, "x" * 2**21, COMPLEX]
)
def test_what_cannot_be_carried_is_refused(value):
    with pytest.raises(WireError):
        wire.encode(value)


def message(header, blob=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + blob


EMPTY_GIANT = save({"0": torch.empty(0, 2)}).replace(b"[0,2]", b"[0,9]")
BROKEN = {
    "nothing": b"",
    "too short": b"\x00\x00",
    "length beyond the end": struct.pack(">I", 99) + b"{}",
    "giant length": struct.pack(">I", 2**32 - 1) + b"{}",
    "no JSON": message(b"{"),
    "NaN": message(b"NaN"),
    "Infinity": message(b"-Infinity"),
    "a long number": message(b"9" * 1000),
    "brackets without end": message(b"[" * 1_000_000),
    "deep JSON": message(b"[" * 90_000 + b"]" * 90_000),
    "deep beyond ours": message(deep(70)),
    "no text": message(b"\xff\xfe"),
    "an unknown mark": message({"x": 1}),
    "two marks": message({"d": {}, "f": "nan"}),
    "a tensor that is not there": message({"t": "7"}),
    "a float that is none": message({"f": "__import__('os')"}),
    "broken tensors": message({"t": "0"}, b"\x08" + b"\x00" * 20),
    "cut tensors": message({"t": "0"}, save({"0": torch.ones(9)})[:-5]),
    "offsets that overlap": message(
        {"t": "0"}, save({"0": torch.ones(9)}).replace(b"[0,36]", b"[0,99]")
    ),
    "a foreign type": message({"t": "0"}, save({"0": torch.ones(2).to(torch.cfloat)})),
    "many axes": message({"t": "0"}, save({"0": torch.ones([1] * 20)})),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_messages_are_refused_in_one_sentence(name):
    with pytest.raises(WireError, match="cannot be read|larger than"):
        wire.decode(BROKEN[name])


def test_a_message_beyond_the_cap_is_refused_before_it_is_parsed():
    with pytest.raises(WireError, match="larger than 32 MiB"):
        wire.decode(bytes(wire.MAX_BYTES + 1))


@given(st.binary(max_size=200))
def test_random_bytes_never_do_more_than_be_refused(noise):
    for candidate in (noise, message(noise), message({"t": "0"}, noise)):
        try:
            wire.decode(candidate)
        except WireError:
            continue
