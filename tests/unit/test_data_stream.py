"""A batch depends on seed and step alone, and an epoch reads every row once."""

import time

import pytest
import torch

from sparrow.data import packing
from sparrow.data.stream import Stream
from sparrow.errors import CorpusError

END = 0


def documents(count=50, seed=0):
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 12, (count,), generator=draw).tolist()
    return [torch.randint(1, 99, (n,), generator=draw).tolist() for n in sizes]


def stream(**changes):
    settings = {"length": 8, "batch_size": 5, "end": END, "seed": 3} | changes
    return Stream(settings.pop("documents", documents()), **settings)


def same(one, other):
    names = ("tokens", "targets", "positions", "document")
    return all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)


def test_a_batch_needs_no_replay_of_those_before_it():
    walked = stream()
    trace = [walked.batch(step) for step in range(25)]
    for step in (24, 0, 13):
        assert same(stream().batch(step), trace[step])
    assert same(walked.batch(2), trace[2])


def test_another_seed_and_another_epoch_have_another_order():
    ours, rows = stream(), stream().rows_per_epoch
    assert not same(ours.batch(0), stream(seed=4).batch(0))
    one = stream(batch_size=rows)
    assert not same(one.batch(0), one.batch(1))


def test_an_epoch_reads_every_document_once():
    ours = stream()
    whole = stream(batch_size=ours.rows_per_epoch)
    count = sum(len(each) + 1 for each in documents())
    for epoch in range(2):
        read = whole.batch(epoch)
        assert read.tokens.numel() == whole.tokens_per_epoch
        told = [read.tokens[read.document == n].numel() for n in range(50)]
        assert sum(told) == count
        expected = sorted(t for each in documents() for t in each)
        assert sorted(read.tokens[read.tokens != END].tolist()) == expected


def test_batches_follow_each_other_without_gap_over_the_end_of_an_epoch():
    ours = stream(batch_size=7)
    rows = ours.rows_per_epoch
    assert rows % 7, "the epoch must not end with a batch, or this tests nothing"
    whole = stream(batch_size=rows)
    expected = torch.cat([whole.batch(0).tokens, whole.batch(1).tokens])
    got = torch.cat([ours.batch(step).tokens for step in range(2 * rows // 7)])
    assert torch.equal(got, expected[: len(got)])


def test_a_batch_larger_than_an_epoch_takes_several():
    ours = stream(documents=[[1, 2, 3]], batch_size=7)
    assert ours.batch(0).tokens.tolist() == [[1, 2, 3, END, END, END, END, END]] * 7


def test_the_size_of_the_batch_does_not_change_the_order():
    small, large = stream(batch_size=2), stream(batch_size=4)
    pair = torch.cat([small.batch(0).tokens, small.batch(1).tokens])
    assert torch.equal(pair, large.batch(0).tokens)


def test_the_stream_packs_by_the_function_that_learners_write(monkeypatch):
    called = []
    original = packing.pack
    monkeypatch.setattr(
        packing, "pack", lambda *given: called.append(1) or original(*given)
    )
    stream().batch(0)
    assert called


def test_an_epoch_of_two_million_tokens_is_packed_in_a_moment():
    lines = list(torch.randint(1, 512, (20_000, 100)))
    ours = Stream(lines, length=256, batch_size=32, end=END, seed=0)
    started = time.process_time()
    ours.batch(0)
    assert time.process_time() - started < 2.0  # 0.1 s when the machine is quiet
    started = time.process_time()
    ours.batch(1)
    assert time.process_time() - started < 0.1  # the epoch is kept


@pytest.mark.parametrize("nothing", [[], [[]]])
def test_no_text_is_one_sentence(nothing):
    with pytest.raises(CorpusError, match=r"there is no text to learn from\."):
        stream(documents=nothing)
