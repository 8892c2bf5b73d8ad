"""Rows hold every token once, and no place sees or predicts another document."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparrow import Config, Sparrow
from sparrow.data.packing import IGNORED, attention_mask, pack, places_since

END = 0
DOCUMENTS = st.lists(
    st.lists(st.integers(1, 9), max_size=9), min_size=1, max_size=6
)  # empty ones included


def packed_by_hand(documents, length):
    """One place after another, as a person would do it."""
    places = []
    for number, document in enumerate(documents):
        tokens = [*document, END]
        for place, token in enumerate(tokens):
            target = tokens[place + 1] if place + 1 < len(tokens) else IGNORED
            places.append((token, target, number))
    number = len(documents)
    while len(places) % length:
        places.append((END, IGNORED, number))
        number += 1
    rows = [places[i : i + length] for i in range(0, len(places), length)]
    return [torch.tensor([[p[k] for p in row] for row in rows]) for k in range(3)]


def test_a_small_example_by_hand():
    packed = pack([[5, 6], [7], [8, 9, 5]], 4, END)
    x = IGNORED
    assert packed.tokens.tolist() == [[5, 6, 0, 7], [0, 8, 9, 5], [0, 0, 0, 0]]
    assert packed.targets.tolist() == [[6, 0, x, 0], [x, 9, 5, 0], [x, x, x, x]]
    assert packed.positions.tolist() == [[0, 1, 2, 0], [0, 0, 1, 2], [0, 0, 0, 0]]
    assert packed.document.tolist() == [[0, 0, 0, 1], [1, 2, 2, 2], [2, 3, 4, 5]]


@given(DOCUMENTS, st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_packing_agrees_with_placing_token_by_token(documents, length):
    packed = pack(documents, length, END)
    tokens, targets, document = packed_by_hand(documents, length)
    assert torch.equal(packed.tokens, tokens)
    assert torch.equal(packed.targets, targets)
    assert torch.equal(packed.document, document)
    assert packed.tokens.dtype == torch.int64


@given(DOCUMENTS, st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_positions_count_from_the_documents_first_place_in_the_row(documents, length):
    packed = pack(documents, length, END)
    for row, positions in zip(packed.document, packed.positions, strict=True):
        for place in range(length):
            earlier = (row[:place] == row[place]).sum()
            assert positions[place] == earlier


def test_one_document_that_fills_its_rows_does_not_wrap_round():
    packed = pack([[1, 2, 3]], 4, END)
    assert packed.targets.tolist() == [[2, 3, END, IGNORED]]


def test_documents_may_be_lists_or_tensors():
    lists = pack([[1, 2], []], 3, END)
    tensors = pack([torch.tensor([1, 2]), torch.tensor([])], 3, END)
    assert torch.equal(lists.tokens, tensors.tokens)


def test_a_place_sees_itself_and_what_its_document_said_before():
    mask = attention_mask(torch.tensor([[0, 0, 1, 1]]))
    assert mask.shape == (1, 1, 4, 4)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
    ]


def test_a_packed_document_is_read_as_if_it_were_alone():
    """The reason for mask and positions: neighbours change nothing."""
    model = Sparrow(Config.preset("pico")).eval()
    documents = [[5, 6, 7], [8, 9], [10, 11, 12, 13]]
    packed = pack(documents, 12, END)
    with torch.inference_mode():
        together = model(
            packed.tokens,
            positions=packed.positions,
            mask=attention_mask(packed.document),
        )[0]
        alone = [model(torch.tensor([[*each, END]]))[0] for each in documents]
    # float32 rounding: sums over keys have another length
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_places_since_begins_again_where_the_number_changes():
    assert places_since(torch.tensor([[4, 4, 7, 7, 7]])).tolist() == [[0, 1, 0, 1, 2]]


def test_rows_of_processes_make_up_the_batch():
    packed = pack([[1, 2, 3], [4, 5], [6] * 9], 4, END)
    halves = [packed.rows(slice(rank, None, 2)) for rank in range(2)]
    assert torch.equal(halves[0].tokens, packed.tokens[0::2])
    assert torch.equal(halves[1].document, packed.document[1::2])
