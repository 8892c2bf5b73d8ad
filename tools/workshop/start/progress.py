"""One line for each stage: what happens now, for how long, and how it ended."""

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

from sparrow.language import _

__all__ = ["Stage", "clock"]

REPAINT_S = 0.5


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds: 0:07, 12:30."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Stage:
    """A line that is repainted in a terminal, and written twice anywhere else.

    with Stage(2, 4, "Installing PyTorch") as stage:
        stage.detail = "downloading torch 2.13.0 (191 MB)"
    """

    def __init__(self, number: int, of: int, title: str, stream: TextIO | None = None):
        self.head = f"  [{number}/{of}] {title}"
        self.detail = ""
        self.stream = stream or sys.stderr
        self.is_live = self.stream.isatty()
        self._began = 0.0
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._keep_painting, daemon=True)

    def __enter__(self) -> "Stage":
        self._began = time.monotonic()
        if self.is_live:
            self._painter.start()
        else:
            self._write(f"{self.head} …\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self.is_live:
            self._painter.join()
        spent = clock(time.monotonic() - self._began)
        if kind is not None:
            ending = _("stopped after {time}", time=spent)
        elif self.detail:
            ending = _("done in {time}: {detail}", time=spent, detail=self.detail)
        else:
            ending = _("done in {time}", time=spent)
        self._paint(ending)
        if self.is_live:
            self._write("\n")

    def _keep_painting(self) -> None:
        while not self._ended.is_set():
            self._paint(f"{clock(time.monotonic() - self._began)}  {self.detail}")
            self._ended.wait(REPAINT_S)

    def _paint(self, text: str) -> None:
        if not self.is_live:
            self._write(f"{' ' * 8}{text}\n")
            return
        width = shutil.get_terminal_size().columns - 1  # the last one may wrap
        self._write("\r" + f"{self.head}  {text}"[:width].ljust(width))

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
