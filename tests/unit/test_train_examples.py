"""All of a conversation is read, none is cut, and only the assistant's part counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparrow import Config, Sparrow
from sparrow.data import packing
from sparrow.data.packing import IGNORED, Packed
from sparrow.errors import ConfigError
from sparrow.train import examples
from sparrow.train.examples import Example, answer_mask, entropy, is_sure, pack_whole
from sparrow.train.loss import language_loss

END, USER, ASSISTANT = 0, 1, 2
MARKS = {"assistant": ASSISTANT, "end": END}
WORDS = st.lists(st.integers(3, 9), max_size=5)
TURNS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3)


def written(question: list[int], answer: list[int]) -> Example:
    """One question and its answer in the template."""
    return Example((USER, *question, END, ASSISTANT), tuple(answer))


# ---- whose words ----


def test_a_conversation_by_hand() -> None:
    #          user  7  end  assistant  8  9  end
    tokens = [[USER, 7, END, ASSISTANT, 8, 9, END]]
    mask = answer_mask(torch.tensor(tokens), **MARKS)
    assert mask.tolist() == [[False] * 4 + [True] * 3]
    assert mask.dtype == torch.bool


def test_an_empty_answer_is_its_end() -> None:
    mask = answer_mask(torch.tensor([[USER, 7, END, ASSISTANT, END, USER]]), **MARKS)
    assert mask.tolist() == [[False] * 4 + [True, False]]


def test_an_answer_that_has_no_end_goes_on_to_the_edge_of_its_row_only() -> None:
    mask = answer_mask(torch.tensor([[ASSISTANT, 8, 9], [8, 9, END]]), **MARKS)
    assert mask.tolist() == [[False, True, True], [False] * 3]


@given(st.lists(TURNS, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_mask_is_what_each_turn_says_of_itself(
    rows: list[list[tuple[list[int], list[int]]]],
) -> None:
    laid: list[list[tuple[int, bool]]] = []
    for turns in rows:
        row: list[tuple[int, bool]] = []
        for question, answer in turns:
            row += [(each, False) for each in (USER, *question, END, ASSISTANT)]
            row += [(each, True) for each in (*answer, END)]
        laid.append(row)
    width = max(map(len, laid))
    for row in laid:
        row += [(END, False)] * (width - len(row))  # empty documents fill up
    tokens = torch.tensor([[token for token, _own in row] for row in laid])
    own = torch.tensor([[own for _token, own in row] for row in laid])
    assert torch.equal(answer_mask(tokens, **MARKS), own)


# ---- into rows ----


def conversations(packed: Packed) -> list[list[int]]:
    """The documents of all rows that are more than filling."""
    found = []
    for tokens, document in zip(packed.tokens, packed.document, strict=True):
        for number in document.unique_consecutive().tolist():
            piece = tokens[document == number].tolist()
            if piece != [END]:
                found.append(piece)
    return found


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=9), st.integers(14, 30))
@settings(max_examples=80, deadline=None)
def test_no_conversation_is_cut_and_none_is_lost(
    given_ones: list[tuple[list[int], list[int]]], length: int
) -> None:
    wanted = [written(question, answer) for question, answer in given_ones]
    packed = pack_whole(wanted, length, **MARKS)
    assert packed.tokens.shape[1] == length
    assert conversations(packed) == [
        [*each.prompt, *each.answer, END] for each in wanted
    ]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=9), st.integers(14, 30))
@settings(max_examples=60, deadline=None)
def test_every_target_is_the_next_token_and_the_assistants(
    given_ones: list[tuple[list[int], list[int]]], length: int
) -> None:
    wanted = [written(question, answer) for question, answer in given_ones]
    packed = pack_whole(wanted, length, **MARKS)
    learned = packed.targets != IGNORED
    assert not learned[:, -1].any()
    following = packed.tokens[:, 1:][learned[:, :-1]].tolist()
    assert following == [token for each in wanted for token in (*each.answer, END)]
    assert int(learned.sum()) == sum(len(each.answer) + 1 for each in wanted)


def test_a_conversation_that_fills_a_row_leaves_no_empty_one() -> None:
    full = written([3], [4, 5])  # 4 of the prompt, 2 of the answer, its end
    packed = pack_whole([full, full, full], len(full), **MARKS)
    assert packed.tokens.shape == (3, 7)
    assert packed.document.tolist() == [[0] * 7, [1] * 7, [2] * 7]


def test_the_loss_of_packed_rows_is_that_of_single_conversations() -> None:
    torch.manual_seed(0)
    model = Sparrow(Config.preset("pico")).eval()
    draw = torch.Generator().manual_seed(1)

    def words(count: int) -> list[int]:
        return torch.randint(7, 500, (count,), generator=draw).tolist()

    sizes = ((3, 9), (5, 2), (1, 14), (8, 8), (2, 1))
    several = [written(words(asked), words(said)) for asked, said in sizes]
    packed = pack_whole(several, 40, **MARKS)

    def summed(rows: Packed) -> Tensor:
        mask = packing.attention_mask(rows.document)
        logits = model(rows.tokens, positions=rows.positions, mask=mask)
        return language_loss(logits, rows.targets, 1)

    with torch.inference_mode():
        together = summed(packed)
        alone = torch.tensor(0.0)
        for each in several:  # without a mask, and nothing beside it
            row = torch.tensor([[*each.prompt, *each.answer, END]])
            logits = model(row[:, :-1])[0, len(each.prompt) - 1 :]
            surprise = -logits.log_softmax(dim=-1)
            alone += surprise.gather(1, row[0, len(each.prompt) :, None]).sum()
    # float32 sums in another order; a leak between documents is larger than 1
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_an_example_longer_than_a_row_is_one_sentence() -> None:
    long = written([3] * 5, [4] * 5)
    with pytest.raises(ConfigError, match="an example has 14 tokens and a row 13"):
        pack_whole([written([3], [4]), long], 13, **MARKS)


# ---- how open, and when to stop ----


def test_entropy_is_that_of_torch() -> None:
    logits = torch.randn(3, 5, 17, generator=torch.Generator().manual_seed(0)) * 4
    theirs = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(entropy(logits), theirs, rtol=1e-5, atol=1e-6)


def test_entropy_of_a_sure_choice_is_zero_and_of_an_open_one_ln_v() -> None:
    sure = torch.tensor([0.0, 200.0, 0.0])
    torch.testing.assert_close(entropy(sure), torch.tensor(0.0))
    torch.testing.assert_close(entropy(torch.zeros(8)), torch.tensor(8.0).log())


def test_entropy_is_computed_in_float32() -> None:
    found = entropy(torch.randn(4, 9).to(torch.bfloat16))
    assert found.dtype == torch.float32


def test_one_low_look_does_not_stop_and_two_in_a_row_do() -> None:
    assert not is_sure([], 0.1)
    assert not is_sure([0.05], 0.1)
    assert not is_sure([0.05, 0.2], 0.1)
    assert not is_sure([0.05, 0.2, 0.05], 0.1)
    assert is_sure([0.3, 0.1, 0.05], 0.1)
    assert not is_sure([0.05, 0.05, 0.3], 0.1)


def test_a_question_and_its_answer_are_told_apart() -> None:
    from sparrow import checkpoints
    from sparrow.text import Tokenizer

    tokenizer = Tokenizer(checkpoints.find("pico-base"))
    made = examples.example(tokenizer, "numbers 3 7 target 21", "<think>3*7=21")
    assert tokenizer.decode(made.prompt) == "numbers 3 7 target 21"
    assert tokenizer.decode(made.answer) == "<think>3*7=21"
    assert len(made) == len(made.prompt) + len(made.answer) + 1
