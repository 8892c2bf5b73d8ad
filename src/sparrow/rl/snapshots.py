"""Look at the model of a run whenever it is kept, while the run goes on.

A run tells numbers; what a model writes says more. A checkpoint is on the disk after
every so many steps, so whoever watches can open it and ask.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sparrow.model import Sparrow, named
from sparrow.text import Tokenizer
from sparrow.train import state
from sparrow.train.metrics import Line, Step
from sparrow.train.run import Trained

__all__ = ["Snapshots"]

Seen = TypeVar("Seen")


class Snapshots(Generic[Seen]):
    """Watches a run, and keeps what `look` sees in each of its checkpoints.

    Args:
        init: the model that the run starts from: what step 0 is.
        folder: the run's folder.
        every: look at checkpoints of these steps, and not at those by the clock.
        look: gets a model and its tokenizer; what it gives is kept in `seen`.
        then: is told every step afterwards, for a progress bar.
    """

    def __init__(
        self,
        init: str,
        folder: Path,
        every: int,
        look: Callable[[Sparrow, Tokenizer], Seen],
        then: Callable[[Line], None] = lambda _line: None,
    ) -> None:
        start = named.folder_of(init)
        self.folder, self.every, self.look, self.then = folder, every, look, then
        self.tokenizer = Tokenizer(start)
        self.model = Sparrow.from_pretrained(start).eval()
        self.seen: dict[int, Seen] = {0: look(self.model, self.tokenizer)}

    def __call__(self, line: Line) -> None:
        """Told by the run; a checkpoint is kept before the step after it is told."""
        if isinstance(line, Step) and line.step % self.every == 1 and line.step > 1:
            newest = state.newest_state(self.folder / "states")
            if newest is not None and newest.step == line.step - 1:
                self._open(newest)
        self.then(line)

    def _open(self, kept: state.State) -> None:
        weights = {
            name.removeprefix("model."): each
            for name, each in kept.tensors.items()
            if name.startswith("model.")
        }
        self.model.load_state_dict(weights)
        self.seen[kept.step] = self.look(self.model, self.tokenizer)

    def finish(self, run: Trained) -> Sparrow:
        """Look at what the run ended with; gives that model."""
        newest = state.newest_state(run.folder / "states")
        assert newest is not None, "a run that has ended keeps its last step"
        self._open(newest)
        return self.model
