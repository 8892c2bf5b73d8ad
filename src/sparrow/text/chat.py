"""How a conversation is written as one text: who speaks, what is thought, what is said.

<|user|>question<|end|><|assistant|><think>…</think><answer>…</answer><|end|>
"""

__all__ = ["ASSISTANT", "CHAT_TEMPLATE", "END", "SPECIAL", "VISIBLE"]

END = "<|end|>"
ASSISTANT = "<|assistant|>"
# Structure, which no reader sees; and tags, which are part of what the model says.
SPECIAL = (END, "<|user|>", ASSISTANT)
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
