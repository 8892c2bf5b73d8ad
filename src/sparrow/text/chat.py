"""How a conversation is written as one text: who speaks, what is thought, what is said.

<|user|>question<|end|><|assistant|><think>…</think><answer>…</answer><|end|>
"""

from collections.abc import Mapping, Sequence

__all__ = [
    "ASSISTANT",
    "CHAT_TEMPLATE",
    "END",
    "SPECIAL",
    "USER",
    "VISIBLE",
    "write_chat",
]

END = "<|end|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
# Structure, which no reader sees; and tags, which are part of what the model says.
SPECIAL = (END, USER, ASSISTANT)
VISIBLE = ("<think>", "</think>", "<answer>", "</answer>")

# `open_thought` begins the answer with <think>, so that the model thinks first.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{% else %}<|user|>{% endif %}"
    "{{ message['content'] }}<|end|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if open_thought %}<think>{% endif %}{% endif %}"
)


def write_chat(
    messages: Sequence[Mapping[str, str]], *, ask: bool, open_thought: bool = False
) -> str:
    """Write a conversation as one text: what `CHAT_TEMPLATE` says, in plain Python.

    Args:
        messages: who said what: each has a `role` and a `content`. The assistant's
            role is "assistant"; everybody else stands behind the user's mark.
        ask: end where the assistant begins to speak.
        open_thought: with `ask`, begin the answer with <think>.
    """
    text = ""
    for message in messages:
        # 1. The mark of who speaks.
        text += ASSISTANT if message["role"] == "assistant" else USER
        # 2. What is said, and the end of the turn.
        text += message["content"] + END
    # 3. To ask, let the assistant begin; and, if wanted, let it begin with a thought.
    if ask:
        text += ASSISTANT + ("<think>" if open_thought else "")
    return text
