"""What we learn and save, transformers opens and reads in the same way."""

from pathlib import Path

import pytest

from sparrow.errors import CheckpointError, ConfigError
from sparrow.text import Tokenizer
from sparrow.text.bpe import SMALLEST
from sparrow.text.learn import learn_tokenizer

TEXTS = ["12+7=19\n56-19=37\n" * 50, "The sparrow is small. " * 20, "麻雀虽小,五脏俱全"]
MESSAGES = [
    {"role": "user", "content": "What is 3+4?"},
    {"role": "assistant", "content": "<think>3+4=7</think><answer>7</answer>"},
    {"role": "user", "content": "And 5*5?"},
]


@pytest.fixture(scope="module")
def learned() -> Tokenizer:
    return learn_tokenizer(TEXTS, 300)


def test_special_tokens_come_first_and_the_end_is_zero(learned: Tokenizer) -> None:
    names = ["<|end|>", "<|user|>", "<|assistant|>"]
    names += ["<think>", "</think>", "<answer>", "</answer>"]
    assert [learned.token_id(name) for name in names] == list(range(7))
    assert learned.end == 0
    assert learned.vocab_size <= 300


def test_any_text_comes_back(learned: Tokenizer) -> None:
    for text in ("", " ", "\x00\x7f", "a  b\r\n\t", "😀é麻", "12345+678", "<think>x"):
        assert learned.decode(learned.encode(text)) == text


def test_thoughts_are_visible_and_structure_is_not(learned: Tokenizer) -> None:
    ids = learned.encode("<|user|><think>1</think><|end|>")
    assert learned.decode(ids) == "<think>1</think>"


def test_operators_and_brackets_never_merge_with_numbers(learned: Tokenizer) -> None:
    tokens = [learned.decode([each]) for each in learned.encode("12+7=19")]
    assert "".join(tokens) == "12+7=19"
    assert {"+", "="} <= set(tokens)


def test_auto_tokenizer_opens_what_is_saved(learned: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    learned.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*TEXTS, "<|user|>hello <think>", "é😀"):
        assert theirs.encode(text, add_special_tokens=False) == learned.encode(text)
    chat = theirs.apply_chat_template(
        MESSAGES, add_generation_prompt=True, return_dict=False
    )
    assert list(chat) == learned.chat(MESSAGES)  # type: ignore[arg-type]
    opened = learned.chat(MESSAGES, open_thought=True)  # type: ignore[arg-type]
    assert opened == [*learned.chat(MESSAGES), learned.token_id("<think>")]  # type: ignore[arg-type]
    again = Tokenizer(tmp_path)
    assert again.chat(MESSAGES) == learned.chat(MESSAGES)  # type: ignore[arg-type]
    assert theirs.eos_token_id == learned.end


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 263: 256 bytes and 7 special"):
        learn_tokenizer(TEXTS, SMALLEST - 1)


def test_a_tokenizer_of_somebody_else_has_no_end_of_ours(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Fast
    from tokenizers import models

    other = Tokenizer.of(Fast(models.BPE()), None)
    with pytest.raises(CheckpointError, match="no <|end|>"):
        _ = other.end
