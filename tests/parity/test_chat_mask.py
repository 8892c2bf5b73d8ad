"""The tokens that we learn are those that transformers says the assistant wrote."""

from pathlib import Path

import pytest
import torch

from sparrow import checkpoints
from sparrow.text import Tokenizer
from sparrow.text.chat import ASSISTANT
from sparrow.train.examples import answer_mask

# Ours, with the mark that transformers needs to know who wrote what.
MARKED = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}"
)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


FIRST = [
    turn("user", "numbers 3 7 8 target 29"),
    turn("assistant", "<think>3*7=21,21+8=29</think><answer>(3*7)+8</answer>"),
]
CONVERSATIONS = {
    "one answer": FIRST,
    "two answers": [*FIRST, turn("user", "numbers 2 2 target 4"), FIRST[1]],
    "an empty answer": [FIRST[0], turn("assistant", "")],
    "no answer": FIRST[:1],
    "a system message": [turn("system", "Be brief."), *FIRST],
    "a question that looks like an answer": [
        turn("user", "<think>1</think><answer>1</answer>"),
        FIRST[1],
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_mask_is_that_of_transformers(name: str) -> None:
    from transformers import AutoTokenizer

    folder: Path = checkpoints.find("pico-base")
    theirs = AutoTokenizer.from_pretrained(folder)
    found = theirs.apply_chat_template(
        CONVERSATIONS[name],
        chat_template=MARKED,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ours = Tokenizer(folder)
    assistant = ours.token_id(ASSISTANT)
    assert assistant is not None
    tokens = torch.tensor([found["input_ids"]])
    mask = answer_mask(tokens, assistant=assistant, end=ours.end)
    assert mask[0].int().tolist() == list(found["assistant_masks"])
