"""Talk to a model in a notebook: words as they come, the thought folded away."""

import html
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.serve.words import Thought
from sparrow.talk import Conversation

__all__ = ["ChatBox", "Exchange"]

DRAW_EVERY_S = 0.1  # more often than that nobody sees


@dataclass(kw_only=True)
class Exchange:
    """One question and what came back."""

    question: str
    reasoning: str = ""
    content: str = ""
    tokens: int = 0
    seconds: float = 0.0
    note: str = ""

    def html(self) -> str:
        """As the notebook shows it; nothing that was said is markup."""
        parts = [_paragraph(f"› {self.question}", "font-weight: 600")]
        if self.reasoning:
            summary = html.escape(_("Thought"))
            said = _paragraph(self.reasoning, "color: #5f5f5f")
            parts.append(f"<details><summary>{summary}</summary>{said}</details>")
        parts.append(_paragraph(self.content))
        if self.tokens:
            speed = _(
                "{n} tokens, {rate:.0f} tokens/s",
                n=self.tokens,
                rate=self.tokens / max(self.seconds, 1e-9),
            )
            parts.append(
                f"<small>{html.escape(' · '.join((speed, *self._notes)))}</small>"
            )
        elif self.note:
            parts.append(f"<small>{html.escape(self.note)}</small>")
        return "".join(parts)

    @property
    def _notes(self) -> tuple[str, ...]:
        return (self.note,) if self.note else ()


def _paragraph(text: str, style: str = "") -> str:
    return (
        f'<p dir="auto" style="white-space: pre-wrap; margin: .2em 0; {style}">'
        f"{html.escape(text)}</p>"
    )


class ChatBox:
    """A conversation with a field to write in and a button that stops.

    Args:
        talk: the model and what was said so far.
        example: a question that this model can answer.

    Example:
        >>> ChatBox(Conversation(model, tokenizer), example="numbers 8 2 6 target 24")
    """

    def __init__(self, talk: Conversation, *, example: str = "") -> None:
        import ipywidgets

        self.talk, self._stopped = talk, threading.Event()
        self.exchanges: list[Exchange] = []
        self.shown = ipywidgets.HTML()
        self.question = ipywidgets.Text(value=example, placeholder=_("Your question"))
        self.ask = ipywidgets.Button(description=_("Ask"), button_style="primary")
        self.stop = ipywidgets.Button(description=_("Stop"), disabled=True)
        self.ask.on_click(self._begin)
        self.stop.on_click(lambda _button: self._stopped.set())
        self.box = ipywidgets.VBox(
            [self.shown, ipywidgets.HBox([self.question, self.ask, self.stop])]
        )
        self.thread: threading.Thread | None = None

    def _begin(self, _button: object) -> None:
        """Answer beside the kernel, so that the stop button can be heard."""
        question = self.question.value.strip()
        if not question or self.ask.disabled:
            return
        self.question.value = ""
        self.exchanges.append(Exchange(question=question))
        self._stopped.clear()
        self.ask.disabled, self.stop.disabled = True, False
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def _answer(self) -> None:
        exchange = self.exchanges[-1]
        try:
            self._listen(exchange)
        except SparrowError as error:
            exchange.note = str(error)
        finally:
            self._draw()
            self.ask.disabled, self.stop.disabled = False, True

    def _listen(self, exchange: Exchange) -> None:
        thought, began, drawn = Thought(), time.perf_counter(), 0.0
        pieces: Iterator[str] = self.talk.ask(exchange.question)
        for piece in pieces:
            part = thought.add(piece)
            exchange.reasoning += part.reasoning
            exchange.content += part.content
            exchange.tokens = self.talk.last_tokens
            exchange.seconds = time.perf_counter() - began
            if self._stopped.is_set():
                exchange.note = _("stopped")
                return
            if exchange.seconds - drawn > DRAW_EVERY_S:
                drawn = exchange.seconds
                self._draw()
        rest = thought.end()
        exchange.reasoning += rest.reasoning
        exchange.content += rest.content

    def _draw(self) -> None:
        self.shown.value = "<hr>".join(each.html() for each in self.exchanges)

    def _repr_mimebundle_(self, **options: object) -> Any:
        return self.box._repr_mimebundle_(**options)
