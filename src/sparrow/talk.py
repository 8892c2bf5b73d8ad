"""Hold a conversation: what was said stays in the cache and is never read twice."""

from collections.abc import Iterator

import torch

from sparrow.decode import stream
from sparrow.errors import PromptError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Message, Tokenizer

__all__ = ["Conversation"]


class Conversation:
    """A model, what was said so far, and the cache that remembers it.

    Example:
        >>> for piece in Conversation(model, tokenizer).ask("What is a sparrow?"):
        ...     print(piece, end="")
    """

    def __init__(
        self,
        model: Sparrow,
        tokenizer: Tokenizer,
        *,
        system: str | None = None,
        max_new_tokens: int = 256,
        temperature: float = 0.6,
        top_p: float = 0.95,
        generator: torch.Generator | None = None,
    ) -> None:
        """Begin; `system` says how the assistant should behave."""
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_new_tokens = max_new_tokens
        self.temperature, self.top_p, self.generator = temperature, top_p, generator
        self.messages: list[Message] = []
        if system is not None:
            self.messages.append({"role": "system", "content": system})
        self.last_tokens = 0  # how many tokens the last answer had
        self._read: list[int] = []  # tokens whose rows are in the cache
        self._cache = model.new_cache(1, model.config.max_position_embeddings)

    def ask(self, question: str) -> Iterator[str]:
        """Say something; the answer comes piece by piece.

        Raises:
            PromptError: the conversation has grown longer than the model can read.
        """
        messages: list[Message] = [
            *self.messages,
            {"role": "user", "content": question},
        ]
        prompt = self.tokenizer.chat(messages)
        room = self.model.config.max_position_embeddings - len(prompt)
        if room < 1:
            raise PromptError(
                _(
                    "this conversation has {got} tokens and the model reads at most "
                    "{limit}; begin a new one.",
                    got=len(prompt),
                    limit=self.model.config.max_position_embeddings,
                )
            )
        new = self._forget_what_differs(prompt)
        answer: list[int] = []
        tokens = stream(
            self.model,
            new,
            max_new_tokens=min(self.max_new_tokens, room),
            temperature=self.temperature,
            top_p=self.top_p,
            stop=self._stops(),
            generator=self.generator,
            cache=self._cache,
        )

        def listen() -> Iterator[int]:
            for token in tokens:
                answer.append(token)
                self.last_tokens = len(answer)
                yield token

        yield from self.tokenizer.decode_stream(listen())
        self._read = [*prompt, *answer][: self._cache.length]
        text = self.tokenizer.decode(answer)
        self.messages = [*messages, {"role": "assistant", "content": text}]

    def _forget_what_differs(self, prompt: list[int]) -> list[int]:
        """Cut the cache back to what the prompt begins with; the rest of the prompt."""
        same = 0
        for old, new in zip(self._read, prompt[:-1], strict=False):
            if old != new:
                break
            same += 1
        self._cache.length = same
        return prompt[same:]

    def _stops(self) -> list[int]:
        end = self.model.config.eos_token_id
        return [] if end is None else [end]
