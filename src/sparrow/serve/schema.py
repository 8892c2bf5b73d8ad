"""What a request may say: every field with its range, and what is not served.

Fields that nobody here knows are ignored. Fields that would change the answer, and
that this server does not follow, are refused: an answer that looks right must be so.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparrow.language import _
from sparrow.serve.refusal import Refusal
from sparrow.serve.sampling import MOST_LOGPROBS
from sparrow.text import Message

__all__ = ["Ask", "Chat", "Completion", "read"]

MOST_CHOICES = 128
MOST_STOPS = 16
LONGEST_STOP = 1000  # characters

# Fields that would change the answer -> the values that change nothing.
NOT_SERVED: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "min_p": (0,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "thinking": ({"type": "enabled"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (-1, 0),
}

Stop = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]
Asked = TypeVar("Asked", bound="Ask")


class _Strict(BaseModel):
    # A number in quotation marks is a mistake in the caller's program.
    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)


class StreamOptions(_Strict):
    """What a stream says besides the text."""

    include_usage: bool | None = None


class Ask(_Strict):
    """What both kinds of request have in common."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        match self.stop:
            case None:
                return ()
            case str():
                return (self.stop,)
        return tuple(self.stop)

    @property
    def most_tokens(self) -> int | None:
        """How long an answer may be; None: as long as fits."""
        return self.max_tokens

    @property
    def alternatives(self) -> int | None:
        """How many alternatives to show beside each token; None: not even its own."""
        raise NotImplementedError

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the bill."""
        options = self.stream_options
        return options is not None and bool(options.include_usage)

    def check(self) -> None:
        """Refuse what would be followed only in part.

        Raises:
            Refusal: a field is not served, or two do not fit together.
        """
        if self.stream_options is not None and not self.stream:
            raise Refusal(
                _('stream_options goes with "stream": true.'), param="stream_options"
            )
        for name, neutral in NOT_SERVED.items():
            got = (self.model_extra or {}).get(name)
            if got is not None and got not in neutral:
                raise Refusal(
                    _(
                        "{field} is not served here, and the answer would differ "
                        "without it: leave it out.",
                        field=name,
                    ),
                    param=name,
                    code="unsupported_parameter",
                )


class TextPart(_Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: str


class Turn(_Strict):
    """What somebody said; a thought that comes back with an answer is not read."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def message(self) -> Message:
        """The same for a chat template, which knows three roles."""
        text = self.content
        return {
            "role": "system" if self.role == "developer" else self.role,
            "content": text
            if isinstance(text, str)
            else "".join(part.text for part in text),
        }


class Chat(Ask):
    """The body of /v1/chat/completions."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None

    @property
    def most_tokens(self) -> int | None:
        """The newer name counts, if both are there."""
        newer = self.max_completion_tokens
        return self.max_tokens if newer is None else newer

    @property
    def alternatives(self) -> int | None:
        """`logprobs` asks for the token's own, `top_logprobs` for others as well."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def check(self) -> None:
        """As above.

        Raises:
            Refusal: the same, and alternatives without logprobs.
        """
        super().check()
        if self.top_logprobs is not None and not self.logprobs:
            raise Refusal(
                _('top_logprobs goes with "logprobs": true.'), param="top_logprobs"
            )


Ids = Annotated[list[int], Field(min_length=1)]


class Completion(Ask):
    """The body of /v1/completions: a text or tokens to go on with, or several."""

    prompt: str | Ids | Annotated[list[str] | list[Ids], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = 16  # as in OpenAI's API
    logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None

    @property
    def alternatives(self) -> int | None:
        """What `logprobs` says."""
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt by itself."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)

    def check(self) -> None:
        """As above.

        Raises:
            Refusal: the same, and too many answers in all.
        """
        super().check()
        answers = len(self.prompts) * (self.n or 1)
        if answers > MOST_CHOICES:
            raise Refusal(
                _(
                    "{got} answers in one request; {most} are the most.",
                    got=answers,
                    most=MOST_CHOICES,
                ),
                param="prompt",
            )


def read(kind: type[Asked], body: bytes) -> Asked:
    """A request from its bytes.

    Raises:
        Refusal: it is no JSON, a field has a wrong type, or is not served.
    """
    try:
        ask = kind.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error.errors(include_input=False, include_url=False)) from error
    ask.check()
    return ask


def _refusal(errors: list[Any]) -> Refusal:
    """The first thing that is wrong."""
    # Where a field may be a text or a list, the branch that fits better is not the one
    # with the wrong type.
    first = min(errors, key=lambda each: each["type"].endswith("_type"))
    reason = str(first["msg"])
    if first["type"] == "json_invalid":
        return Refusal(
            _("the body is no JSON that can be read ({reason}).", reason=reason),
            code="invalid_json",
        )
    # Names and places of fields; names of branches are pydantic's own.
    place = [str(each) for each in first["loc"]]
    names = [each for each in place if re.fullmatch(r"\d+|[a-z_]+", each)]
    field = ".".join(each for each in names if each != "str") or "body"
    return Refusal(
        _("{field} is not as it must be: {reason}.", field=field, reason=reason),
        param=field,
        code="invalid_value",
    )
