"""Grids, codes and weights equal torchao's, bit for bit, for the same scheme."""

import warnings

import pytest
import torch

from sparrow.quant import affine, convert, fp8
from sparrow.quant.scheme import SCHEMES, Scheme

CASES = {
    "int8, a scale a row": (8, None, True),
    "int8, a scale a row, asymmetric": (8, None, False),
    "int8 in groups": (8, 32, True),
    "int4 in groups": (4, 32, True),
    "int4 in groups, asymmetric": (4, 32, False),
    "int4, a scale a row, asymmetric": (4, None, False),
}


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own use of PyTorch
        # No extra has it: where it is, transformers talks of it in every notebook.
        pytest.importorskip("torchao", reason="pip install torchao, and ask again")
        from torchao.quantization import quant_primitives
    return quant_primitives


@pytest.fixture
def weight():
    draw = torch.Generator().manual_seed(0)
    return torch.randn(96, 128, generator=draw) * 0.1 + 0.02


@pytest.mark.parametrize("case", CASES)
def test_dequantized_weights_equal_torchaos(theirs, weight, case):
    bits, group, symmetric = CASES[case]
    scheme = Scheme(bits=bits, group_size=group, symmetric=symmetric)
    size = group or weight.shape[1]
    low, high = affine.code_range(bits)
    block = (1, size)
    kind = theirs.MappingType.SYMMETRIC if symmetric else theirs.MappingType.ASYMMETRIC
    scale, zero = theirs.choose_qparams_affine(
        weight, kind, block, torch.int8, low, high
    )
    find = affine.symmetric_grid if symmetric else affine.asymmetric_grid
    grid = find(weight, bits, size)
    # For one scale a row torchao leaves the last axis out.
    assert grid.scale.equal(scale.view(grid.scale.shape))
    assert grid.zero.equal(zero.view(grid.zero.shape).float())
    if group is not None:  # kept in bfloat16, so rounded before codes are found
        scale = scale.to(torch.bfloat16).float()
    codes = theirs.quantize_affine(weight, block, scale, zero, torch.int8, low, high)
    expected = theirs.dequantize_affine(
        codes, block, scale, zero, torch.int8, low, high
    )
    assert convert.quantize_matrix(weight, scheme).weight.equal(expected)


def test_an_int8_layer_equals_torchaos_own_tensor(weight, theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        layer = torch.nn.Linear(128, 96, bias=False)
        layer.weight = torch.nn.Parameter(weight)
        quantize_(layer, Int8WeightOnlyConfig())
        expected = layer.weight.dequantize()
    ours = convert.quantize_matrix(weight, SCHEMES["int8"]).weight
    assert ours.equal(expected)


@pytest.mark.parametrize("rows", [1, 128])
def test_fp8_scales_and_numbers_equal_torchaos(theirs, rows):
    x = torch.randn(256, 384, generator=torch.Generator().manual_seed(0)) * 3
    scale = theirs._choose_scale_float8(x, [rows, 128])
    tiles = fp8.to_fp8(x, rows)
    assert tiles.scale.equal(scale.view(tiles.scale.shape))
    spread = scale.view(tiles.scale.shape)
    spread = spread.repeat_interleave(rows, 0).repeat_interleave(128, 1)
    assert tiles.codes.equal((x / spread).to(torch.float8_e4m3fn))
