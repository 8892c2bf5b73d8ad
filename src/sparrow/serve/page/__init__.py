"""The chat page: one file, and its words in the language of whoever serves it."""

from pathlib import Path
from typing import Any

from sparrow import language
from sparrow.language import _
from sparrow.text import Tokenizer

__all__ = ["FILE", "examples", "words"]

FILE = Path(__file__).parent / "index.html"
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")


def examples(tokenizer: Tokenizer) -> list[str]:
    """Questions that this model can answer: ours know Countdown and nothing else."""
    if tokenizer.token_id("<answer>") is not None:
        return [
            "numbers 8 2 6 target 24",
            "numbers 5 4 8 target 52",
            "numbers 9 9 2 target 3",
        ]
    return [
        _("What is a sparrow?"),
        _("Why is the sky blue?"),
        _("Write a short poem about the sea."),
    ]


def words(tokenizer: Tokenizer) -> dict[str, Any]:
    """All that the page says."""
    code = language.current()
    is_ours = tokenizer.token_id("<answer>") is not None
    return {
        "language": code,
        "direction": "rtl" if code.split("_")[0] in RIGHT_TO_LEFT else "ltr",
        "examples": examples(tokenizer),
        # Ours have never seen a second question, nor written more than 192 tokens.
        "remembers": not is_ours,
        "sampling": {
            "temperature": 0.6,
            "top_p": 0.95,
            **({"max_tokens": 256} if is_ours else {}),
        },
        "words": {
            "about": _(
                "This model knows one game: reach the target with the numbers, each "
                "used once."
            )
            if is_ours
            else _("Ask anything; what it says may be wrong."),
            "try": _("Try one:"),
            "ask": _("Ask"),
            "stop": _("Stop"),
            "fresh": _("New conversation"),
            "hint": _("Your question"),
            "thinking": _("Thinking …"),
            "thought": _("Thought, {n} tokens", n="{n}"),
            "speed": _("{n} tokens, {rate} tokens/s", n="{n}", rate="{rate}"),
            "stopped": _("stopped"),
            "cut": _("cut off: too long"),
            "lost": _("The server cannot be reached. Is it still running?"),
            "local": _("Everything stays on the machine that serves this page."),
        },
    }
