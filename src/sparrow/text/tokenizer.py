"""Turn text into token ids and back, with the tokenizer that a checkpoint carries."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypedDict, cast

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as FastTokenizer

from sparrow.errors import CheckpointError
from sparrow.language import _
from sparrow.runtime import atomic_write
from sparrow.text import chat
from sparrow.text.chat import CHAT_TEMPLATE, END

__all__ = ["Message", "Tokenizer"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what half a character decodes to


class Message(TypedDict):
    """One turn of a conversation."""

    role: str  # system, user or assistant
    content: str


class Tokenizer:
    """The `tokenizer.json` and the chat template of a checkpoint folder.

    Raises:
        CheckpointError: the folder holds no tokenizer, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._fast = FastTokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises no narrower class
            raise CheckpointError(
                _(
                    "{folder} has no tokenizer.json that can be read ({reason}).",
                    folder=folder,
                    reason=error,
                )
            ) from error
        self.chat_template = _read_chat_template(folder)

    @classmethod
    def of(cls, fast: FastTokenizer, chat_template: str | None) -> Self:
        """A tokenizer that comes from no folder yet."""
        made = cls.__new__(cls)
        made._fast, made.chat_template = fast, chat_template
        return made

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, the special ones included."""
        return int(self._fast.get_vocab_size())

    @property
    def end(self) -> int:
        """The token that closes a document and an answer.

        Raises:
            CheckpointError: this tokenizer is not one of Sparrow's.
        """
        token = self._fast.token_to_id(END)
        if token is None:
            raise CheckpointError(
                _("this tokenizer has no {token}: learn one here.", token=END)
            )
        return int(token)

    def token_id(self, token: str) -> int | None:
        """The id of a token that is known by its text, such as `<think>`."""
        return self._fast.token_to_id(token)

    def token(self, token_id: int) -> str:
        """The text of one token, a special one's too; it may be half a character."""
        return str(self._fast.decode([token_id], skip_special_tokens=False))

    def encode_many(self, texts: Iterable[str]) -> list[list[int]]:
        """Token ids of each text, on all cores."""
        batch = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [list(each.ids) for each in batch]

    def to_json(self) -> str:
        """All that decides how text is cut, as one text."""
        return str(self._fast.to_str())

    def save(self, folder: Path) -> None:
        """Write the files that transformers' `AutoTokenizer` opens.

        Raises:
            StorageError: the folder cannot be written.
        """
        config: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
        }
        if self._fast.token_to_id(END) is not None:
            config |= {"eos_token": END, "pad_token": END}
        if self.chat_template is not None:
            config["chat_template"] = self.chat_template
        told = json.dumps(config, indent=2) + "\n"
        for name, text in (
            ("tokenizer.json", self._fast.to_str(pretty=True)),
            ("tokenizer_config.json", told),
        ):
            with atomic_write(folder / name) as file:
                file.write(text.encode())

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, with no special tokens added."""
        return list(self._fast.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of these tokens, special ones left out."""
        return str(self._fast.decode(list(tokens), skip_special_tokens=True))

    def decode_stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Pieces of text as tokens arrive; a character is never cut in half."""
        seen: list[int] = []
        told = 0
        for token in tokens:
            seen.append(token)
            text = self.decode(seen)
            if not text.endswith(REPLACEMENT):
                yield text[told:]
                told = len(text)
        yield self.decode(seen)[told:]

    def chat(
        self, messages: Sequence[Message], *, open_thought: bool = False
    ) -> list[int]:
        """Token ids of a conversation, up to where the assistant begins to speak.

        Args:
            messages: who said what.
            open_thought: begin the answer with `<think>`, if the template knows it.

        Raises:
            CheckpointError: this tokenizer has no chat template.
        """
        if self.chat_template is None:
            raise CheckpointError(
                _("this model has no chat template, so it cannot hold a conversation.")
            )
        if self.chat_template == CHAT_TEMPLATE:  # a hundred times as fast
            turns = cast(Sequence[Mapping[str, str]], messages)
            return self.encode(
                chat.write_chat(turns, ask=True, open_thought=open_thought)
            )
        # A template is a program from the checkpoint: it runs in Jinja's sandbox.
        template = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True
        ).from_string(self.chat_template)
        text = template.render(
            messages=list(messages),
            add_generation_prompt=True,
            open_thought=open_thought,
        )
        return self.encode(text)


def _read_chat_template(folder: Path) -> str | None:
    """The template, from its own file or from `tokenizer_config.json`."""
    own = folder / "chat_template.jinja"
    if own.exists():
        return own.read_text("utf-8")
    config = folder / "tokenizer_config.json"
    if not config.exists():
        return None
    template = json.loads(config.read_text("utf-8")).get("chat_template")
    return template if isinstance(template, str) else None
