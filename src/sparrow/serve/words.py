"""Turn tokens into words as they come, and hold back what is not sure yet.

    tokens -> Spelling -> text -> Stops -> text that may be shown -> Thought -> parts

Half a character waits for its other half, the beginning of a stop string for its end,
and the beginning of a tag for the rest of the tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sparrow.text import Tokenizer

__all__ = ["Part", "Spelling", "Stops", "Thought", "held_back"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what half a character decodes to
OPEN, CLOSE = "<think>", "</think>"
# What stands around an answer of ours; no reader needs it.
ANSWER = ("<answer>", "</answer>")


def held_back(text: str, words: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a word.

    Args:
        text: what is there so far; it contains none of the words.
        words: what may come.
    """
    longest = min(len(text), max(map(len, words), default=1) - 1)
    for count in range(longest, 0, -1):
        end = text[-count:]
        if any(word.startswith(end) for word in words):
            return count
    return 0


class Spelling:
    """The text of tokens that come one by one; a character is never cut in half."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # A token's text may depend on the one before it, so the last stays here.
        self._window: list[int] = []
        self._told = 0  # characters of the window's text that were given

    def add(self, token: int) -> str:
        """What can be read now."""
        self._window.append(token)
        text = self._tokenizer.decode(self._window)
        is_whole = not text.endswith(REPLACEMENT)
        sure = text if is_whole else text[:-1]
        new, self._told = sure[self._told :], max(self._told, len(sure))
        if is_whole:
            self._window = [token]
            self._told = len(self._tokenizer.decode(self._window))
        return new

    def end(self) -> str:
        """What is left when no token comes any more: half a character, if any."""
        return self._tokenizer.decode(self._window)[self._told :]


class Stops:
    """Show text up to the first stop string, which is not shown."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def add(self, text: str) -> str:
        """What may be shown now; nothing comes after a stop was `found`."""
        if self.found or not self._stops:
            return "" if self.found else text
        self._held += text
        starts = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        self.found = bool(starts)
        sure = (
            min(starts)
            if starts
            else len(self._held) - held_back(self._held, self._stops)
        )
        shown, self._held = self._held[:sure], self._held[sure:]
        return shown

    def end(self) -> str:
        """What was held back in vain."""
        return "" if self.found else self._held


@dataclass(frozen=True, slots=True)
class Part:
    """New text: what is thought, and what is said."""

    reasoning: str = ""
    content: str = ""


class Thought:
    """Keep what stands in `<think>…</think>` apart from the answer.

    A text that does not begin with a thought is an answer. The `<answer>` tags of our
    own models are left out.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        """Begin; `is_open`: the prompt ended with `<think>`."""
        self._held = ""
        self.is_open = is_open
        self._began = is_open  # more than spaces has come
        self._skipped = ""  # what is left out between a thought and the answer

    def add(self, text: str) -> Part:
        """What is sure about the new text."""
        self._held += text
        if not self._began:
            start = self._held.lstrip()
            if len(start) < len(OPEN) and OPEN.startswith(start):
                return Part()
            self._began = True
            if start.startswith(OPEN):
                self.is_open, self._held = True, start[len(OPEN) :]
        reasoning = self._until_close() if self.is_open else ""
        return Part(reasoning, "" if self.is_open else self._answer())

    def end(self) -> Part:
        """What was held back in vain."""
        left, self._held = self._held, ""
        return Part(reasoning=left) if self.is_open else Part(content=left)

    def _until_close(self) -> str:
        """The thought so far; what follows its end stays held."""
        thought, close, rest = self._held.partition(CLOSE)
        if close:
            self.is_open, self._held, self._skipped = False, rest, "\n"
            return thought
        sure = len(thought) - held_back(thought, (CLOSE,))
        self._held = thought[sure:]
        return thought[:sure]

    def _answer(self) -> str:
        for tag in ANSWER:
            self._held = self._held.replace(tag, "")
        self._held = self._held.lstrip(self._skipped)
        if self._held:
            self._skipped = ""
        sure = len(self._held) - held_back(self._held, ANSWER)
        said, self._held = self._held[:sure], self._held[sure:]
        return said
