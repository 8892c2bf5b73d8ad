"""Tensors in large pages are tensors like any other."""

import gc

import pytest
import torch

from sparrow import large_pages


@pytest.fixture(params=["large pages", "not Linux", "a Linux without"], autouse=True)
def _machine(request, monkeypatch):
    monkeypatch.setattr(large_pages, "_current", [])
    if request.param == "not Linux":
        monkeypatch.setattr(large_pages, "ADVICE", None)
    if request.param == "a Linux without":
        monkeypatch.setattr(large_pages, "ADVICE", 9999)  # it refuses


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bfloat16])
def test_a_copy_is_the_same_and_lies_in_one_piece(dtype):
    tensor = (torch.arange(35).view(5, 7) % 9).to(dtype).mT
    kept = large_pages.keep(tensor)
    assert kept.equal(tensor)
    assert kept.dtype == dtype
    assert kept.is_contiguous()


def test_tensors_do_not_touch_each_other():
    first = large_pages.keep(torch.ones(3))
    second = large_pages.zeros((1000, 1000))
    third = large_pages.keep(torch.full((5,), 7.0))
    second.fill_(2.0)
    assert first.tolist() == [1.0] * 3
    assert third.tolist() == [7.0] * 5
    assert second.sum() == 2_000_000


def test_one_that_is_larger_than_what_is_asked_for_at_once_has_its_own():
    large = large_pages.zeros((large_pages.CHUNK + 1,), torch.uint8)
    assert not large.any()
    assert large_pages.zeros((0, 3)).shape == (0, 3)


def test_what_is_still_in_use_outlives_the_rest():
    kept = [large_pages.keep(torch.full((2**20,), float(each))) for each in range(40)]
    last = kept[7]
    kept.clear()
    large_pages._current.clear()
    gc.collect()
    large_pages.zeros((2**22,)).fill_(9.0)
    assert (last == 7.0).all()
