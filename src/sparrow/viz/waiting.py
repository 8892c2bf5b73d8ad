"""A bar with the time that is left, for a notebook cell that takes longer."""

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sparrow.language import _

__all__ = ["Bar", "waiting"]

EVERY_S = 0.5  # between two drawings


class Bar:
    """How much is done; a notebook draws it again in the same place."""

    def __init__(self, what: str, total: float) -> None:
        self.what, self.total, self.done = what, total, 0.0
        self.started_s = time.monotonic()

    def __str__(self) -> str:
        spent = time.monotonic() - self.started_s
        if self.done >= self.total:
            return _("{what}: done in {s:.0f} s", what=self.what, s=spent)
        share = self.done / self.total
        if not share:
            return _("{what}: begins", what=self.what)
        left = spent / share - spent
        return _(
            "{what}: {share:.0%}, about {s:.0f} s left",
            what=self.what,
            share=share,
            s=left,
        )

    def __repr__(self) -> str:
        return str(self)  # what a reader without HTML shows

    def _repr_html_(self) -> str:
        said = html.escape(str(self))
        if self.done >= self.total:
            return said
        return (
            f'<progress max="{self.total}" value="{self.done}" '
            f'aria-label="{said}"></progress> {said}'
        )


@contextmanager
def waiting(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a bar; what it gives is to be called with how much is done so far."""
    from IPython.display import display

    bar = Bar(what, total)
    shown = display(bar, display_id=True)
    last_s = bar.started_s

    def tell(done: float) -> None:
        nonlocal last_s
        bar.done = done
        now = time.monotonic()
        if shown is not None and now - last_s > EVERY_S:
            last_s = now
            shown.update(bar)

    try:
        yield tell
        bar.done = bar.total
    finally:
        if shown is not None:
            shown.update(bar)
