"""A matrix multiplies alike, in whichever order it is kept."""

import pytest
import torch

from sparrow.model import packed


@pytest.mark.parametrize("pays", [True, False])
@pytest.mark.parametrize("rows", [1, 33])
def test_a_kept_matrix_multiplies_as_it_did(monkeypatch, rows, pays):
    if pays and not packed._can_pack():
        pytest.skip("this PyTorch cannot pack")
    monkeypatch.setattr(packed, "_pays", lambda: pays)
    weight, x = torch.randn(1024, 256), torch.randn(rows, 256)
    assert weight.numel() >= packed.LARGE
    expected = torch.nn.functional.linear(x, weight)
    # float32 sums of 256 products, in another order.
    torch.testing.assert_close(packed.keep(weight)(x), expected, atol=2e-4, rtol=0)
