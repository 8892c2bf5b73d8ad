"""Write answers as OpenAI's API does, and thoughts as DeepSeek's does."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

from sparrow.serve.choice import Choice, Piece, Written

__all__ = ["ChatReply", "Reply", "TextReply"]

LEAST = -9999.0  # OpenAI's word for a probability of nothing: JSON has no infinity


def usage(
    prompt_tokens: int, prompts: int, choices: Sequence[Choice]
) -> dict[str, Any]:
    """The bill: each prompt counts once, however many answers it has.

    Args:
        prompt_tokens: of all prompts.
        prompts: how many there are.
        choices: the answers, those of the first prompt first.
    """
    each = len(choices) // prompts
    cached = sum(choice.cached_tokens for choice in choices[::each])
    written = sum(choice.tokens for choice in choices)
    thought = sum(choice.reasoning_tokens for choice in choices)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
        "prompt_cache_hit_tokens": cached,
        "prompt_cache_miss_tokens": prompt_tokens - cached,
    }


class Reply:
    """The shape of one request's answers, whole or in pieces."""

    prefix, whole_object, piece_object = "", "", ""

    def __init__(self, model: str) -> None:
        self.model = model
        self.id = f"{self.prefix}-{secrets.token_hex(12)}"
        self.created = int(time.time())

    def _wrap(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def whole(
        self, pieces: Sequence[Piece], ends: Sequence[str | None], bill: dict[str, Any]
    ) -> dict[str, Any]:
        """Everything at once."""
        choices = [
            {"index": index, **self._whole(piece), "finish_reason": end}
            for index, (piece, end) in enumerate(zip(pieces, ends, strict=True))
        ]
        return {**self._wrap(self.whole_object, choices), "usage": bill}

    def piece(self, index: int, piece: Piece, end: str | None) -> dict[str, Any]:
        """What is new in one answer."""
        choice = {"index": index, **self._piece(piece), "finish_reason": end}
        return self._wrap(self.piece_object, [choice])

    def bill(self, bill: dict[str, Any]) -> dict[str, Any]:
        """The last piece of a stream, if it was asked for."""
        return {**self._wrap(self.piece_object, []), "usage": bill}

    def first(self, index: int) -> dict[str, Any] | None:
        """What comes before any word."""
        return None

    def _whole(self, piece: Piece) -> dict[str, Any]:
        raise NotImplementedError

    def _piece(self, piece: Piece) -> dict[str, Any]:
        raise NotImplementedError


class ChatReply(Reply):
    """Of /v1/chat/completions."""

    prefix = "chatcmpl"
    whole_object, piece_object = "chat.completion", "chat.completion.chunk"

    def first(self, index: int) -> dict[str, Any]:
        """Who speaks."""
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "finish_reason": None}
        return self._wrap(self.piece_object, [choice])

    def _whole(self, piece: Piece) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": piece.content}
        if piece.reasoning:
            message["reasoning_content"] = piece.reasoning
        return {"message": message, "logprobs": self._logprobs(piece)}

    def _piece(self, piece: Piece) -> dict[str, Any]:
        delta = {}
        if piece.reasoning:
            delta["reasoning_content"] = piece.reasoning
        if piece.content:
            delta["content"] = piece.content
        return {"delta": delta, "logprobs": self._logprobs(piece)}

    def _logprobs(self, piece: Piece) -> dict[str, Any] | None:
        thought, said = piece.reasoning_tokens, piece.content_tokens
        if not thought and not said:
            return None
        told = {"content": [_entry(each) for each in said], "refusal": None}
        if thought:
            told["reasoning_content"] = [_entry(each) for each in thought]
        return told


class TextReply(Reply):
    """Of /v1/completions: the text as it was written, tags and all."""

    prefix = "cmpl"
    whole_object = piece_object = "text_completion"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._said: dict[int, int] = {}  # characters of each answer so far

    def piece(self, index: int, piece: Piece, end: str | None) -> dict[str, Any]:
        """As above; offsets count from the beginning of the answer."""
        told = super().piece(index, piece, end)
        start = self._said.get(index, 0)
        if (logprobs := told["choices"][0]["logprobs"]) is not None:
            logprobs["text_offset"] = [start + at for at in logprobs["text_offset"]]
        shown = sum(len(each.token) for each in piece.content_tokens)
        self._said[index] = start + shown
        return told

    def _whole(self, piece: Piece) -> dict[str, Any]:
        tokens = piece.content_tokens
        if not tokens:
            return {"text": piece.content, "logprobs": None}
        lengths = [len(each.token) for each in tokens]
        logprobs = {
            "tokens": [each.token for each in tokens],
            "token_logprobs": [max(each.logprob, LEAST) for each in tokens],
            "top_logprobs": [dict(each.top) for each in tokens],
            "text_offset": [sum(lengths[:at]) for at in range(len(tokens))],
        }
        return {"text": piece.content, "logprobs": logprobs}

    _piece = _whole


def _entry(written: Written) -> dict[str, Any]:
    """One token as chat shows it."""
    top = [_token(name, logprob) for name, logprob in written.top]
    return {**_token(written.token, written.logprob), "top_logprobs": top}


def _token(name: str, logprob: float) -> dict[str, Any]:
    is_whole = "\N{REPLACEMENT CHARACTER}" not in name
    return {
        "token": name,
        "logprob": max(logprob, LEAST),
        "bytes": list(name.encode()) if is_whole else None,
    }
