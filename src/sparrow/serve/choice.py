"""One answer while it is written: its words, its probabilities, and why it ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sparrow.serve.engine import Output
from sparrow.serve.words import Part, Spelling, Stops, Thought
from sparrow.text import Tokenizer

__all__ = ["Choice", "Piece", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """A token, the natural logarithm of its probability, and what else was likely."""

    token: str
    logprob: float
    top: list[tuple[str, float]]


@dataclass(slots=True)
class Piece:
    """What is new in an answer. `tokens` are as many as were asked to be shown."""

    reasoning: str = ""
    content: str = ""
    reasoning_tokens: list[Written] = field(default_factory=list)
    content_tokens: list[Written] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Append words."""
        self.reasoning += part.reasoning
        self.content += part.content

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (
            self.reasoning
            or self.content
            or self.reasoning_tokens
            or self.content_tokens
        )


class Choice:
    """One answer.

    Args:
        tokenizer: of the model.
        stops: texts that end it; they are not shown, and count in a thought as well.
        thought: keeps the thought apart; None: all is content.
        with_logprobs: keep each token's probability.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        stops: Sequence[str] = (),
        thought: Thought | None = None,
        with_logprobs: bool = False,
    ) -> None:
        self._tokenizer, self._with_logprobs = tokenizer, with_logprobs
        self._spelling, self._stops = Spelling(tokenizer), Stops(stops)
        self._thought = thought
        self.tokens = self.reasoning_tokens = self.cached_tokens = 0
        self.finished: Literal["stop", "length"] | None = None

    def add(self, output: Output, piece: Piece) -> None:
        """Put into a piece what one step brought, and at the end what was held back."""
        self.cached_tokens = output.cached
        for place in range(len(output.tokens)):
            self.tokens += 1
            is_end = output.finished == "stop" and place == len(output.tokens) - 1
            if not is_end:
                self._add_token(piece, output, place)
            if self._stops.found:
                self.finished = "stop"
                break
        else:
            self.finished = output.finished
        if self.finished is not None:
            self._end(piece)

    def _add_token(self, piece: Piece, output: Output, place: int) -> None:
        token = output.tokens[place]
        was_thinking = self._is_thinking
        piece.add(self._part(self._stops.add(self._spelling.add(token))))
        is_thought = was_thinking or self._is_thinking
        self.reasoning_tokens += is_thought
        if self._with_logprobs and not self._stops.found:
            assert output.logprobs is not None, "they were asked for"
            name = self._tokenizer.token
            top = output.top[place] if output.top else []
            told = Written(
                name(token),
                output.logprobs[place],
                [(name(other), logprob) for other, logprob in top],
            )
            (piece.reasoning_tokens if is_thought else piece.content_tokens).append(
                told
            )

    @property
    def _is_thinking(self) -> bool:
        return self._thought is not None and self._thought.is_open

    def _part(self, text: str) -> Part:
        return Part(content=text) if self._thought is None else self._thought.add(text)

    def _end(self, piece: Piece) -> None:
        """Show what was held back in vain."""
        text = "" if self._stops.found else self._stops.add(self._spelling.end())
        piece.add(self._part(text + self._stops.end()))
        if self._thought is not None:
            piece.add(self._thought.end())
