"""Let Ctrl-C end a run between two steps, so that nothing is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Wish", "stop_gently"]


class Wish:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.is_there = False


@contextmanager
def stop_gently() -> Iterator[Wish]:
    """Inside this block the first Ctrl-C (or SIGTERM) only leaves a wish.

    The second one interrupts at once, as usual. Signals reach the main thread alone;
    elsewhere nothing changes.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in _signals()}

    def hear(_number: int, _frame: FrameType | None) -> None:
        if wish.is_there:
            raise KeyboardInterrupt
        wish.is_there = True

    for number in before:
        signal.signal(number, hear)
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> tuple[signal.Signals, ...]:
    return (signal.SIGINT, signal.SIGTERM)
