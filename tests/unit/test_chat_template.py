"""The template that checkpoints carry, and its twin in plain Python, write the same."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sparrow.text import Tokenizer
from sparrow.text.chat import CHAT_TEMPLATE, write_chat
from sparrow.text.learn import learn_tokenizer

TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant"]),
        "content": st.text(max_size=20),
    }
)
# As Tokenizer.chat and transformers render it.
TEMPLATE = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True
).from_string(CHAT_TEMPLATE)


@given(st.lists(TURN, max_size=4), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_twin_writes_what_the_template_writes(
    messages: list[dict[str, str]], ask: bool, open_thought: bool
) -> None:
    theirs = TEMPLATE.render(
        messages=messages, add_generation_prompt=ask, open_thought=open_thought
    )
    assert write_chat(messages, ask=ask, open_thought=open_thought) == theirs


def test_a_conversation_by_hand() -> None:
    messages = [
        {"role": "user", "content": "numbers 3 7 target 21"},
        {"role": "assistant", "content": "<think>3*7=21</think><answer>3*7</answer>"},
    ]
    assert write_chat(messages, ask=False) == (
        "<|user|>numbers 3 7 target 21<|end|>"
        "<|assistant|><think>3*7=21</think><answer>3*7</answer><|end|>"
    )
    asked = write_chat(messages[:1], ask=True, open_thought=True)
    assert asked == "<|user|>numbers 3 7 target 21<|end|><|assistant|><think>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_tokenizer(["numbers 3 7 8 target 29"] * 9, 280)


@pytest.mark.parametrize("open_thought", [False, True])
def test_a_tokenizer_reads_both_alike(tokenizer: Tokenizer, open_thought: bool) -> None:
    """With a template that is one space away, Jinja renders it."""
    jinja = Tokenizer.of(tokenizer._fast, CHAT_TEMPLATE + "{# the same #}")
    for length in range(3):
        for roles in itertools.product(("system", "user", "assistant"), repeat=length):
            messages = [{"role": role, "content": "3 7 <think>"} for role in roles]
            ours = tokenizer.chat(messages, open_thought=open_thought)  # type: ignore[arg-type]
            theirs = jinja.chat(messages, open_thought=open_thought)  # type: ignore[arg-type]
            assert ours == theirs
