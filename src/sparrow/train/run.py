"""A run of any kind: steps that follow each other, kept where no power cut hurts.

FOLDER/recipe.json       what was asked for
FOLDER/metrics.jsonl     what was told, one line a step
FOLDER/states/           checkpoints to go on from
FOLDER/model/            at the end: a checkpoint that transformers opens
"""

import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sparrow import runtime
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Tokenizer
from sparrow.train import state
from sparrow.train.metrics import Line, Metrics
from sparrow.train.parallel import Team, team
from sparrow.train.settings import Settings
from sparrow.train.stopping import stop_gently

__all__ = ["Run", "Say", "Trained", "Watch", "carry_out"]

Watch = Callable[[Line], None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run left. `fingerprint` is that of its whole last state."""

    folder: Path
    steps: int
    is_finished: bool
    fingerprint: str

    @property
    def model(self) -> Path:
        """The finished model, as a Hugging Face checkpoint with its tokenizer."""
        return self.folder / "model"


def carry_out(
    make: Callable[[Team], "Run"],
    recipe: Settings,
    folder: Path,
    *,
    resume: bool,
    watch: Watch | None,
) -> Trained:
    """Begin a run, or go on where an earlier one in `folder` stopped.

    On a CPU the resumed run equals the uninterrupted one, bit for bit. Several
    processes, started by `torchrun`, share each step.

    Raises:
        ConfigError: the folder holds a run of another recipe.
        CheckpointError: all its checkpoints are damaged.
        StorageError: the folder cannot be written, or the disk is full.
    """
    runtime.writable_folder(folder)
    found = _what_is_there(recipe, folder, resume)
    with team(runtime.device()) as workers, _own_generators(recipe.seed, workers):
        run = make(workers)
        if found is not None:
            run.go_on_from(found)
        with run.at_work(watch), stop_gently() as wish:
            if found is None:
                run.examine(run.before_first_step)
            while not run.is_done and not workers.any(wish.is_there):
                run.one_step()
        return run.finish()


def _what_is_there(recipe: Settings, folder: Path, resume: bool) -> state.State | None:
    """The newest checkpoint, if it is one of this recipe."""
    found = state.newest_state(folder / "states")
    if found is None:
        return None
    if not resume:
        raise ConfigError(
            _(
                "{folder} holds a run already, and it was asked not to go on: choose "
                "another folder.",
                folder=folder,
            )
        )
    told = found.facts["recipe"]
    assert isinstance(told, dict), "written by Run.facts"
    if names := recipe.differences(told):
        raise ConfigError(
            _(
                "{folder} holds a run with other values of {names}: take the same "
                "values to go on, or another folder to begin anew.",
                folder=folder,
                names=", ".join(names),
            )
        )
    return found


@contextlib.contextmanager
def _own_generators(seed: int, workers: Team) -> Iterator[None]:
    """The generators of a run: its seed sets them, and the caller's come back."""
    device = workers.device
    cards = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(cards):
        torch.manual_seed(seed)
        yield


class Run(ABC):
    """One run in one process: where it stands, and where it keeps things.

    A kind of run sets `model`, `tokenizer` and `optimizer`, and defines `step_once`
    and `look`.
    """

    model: Sparrow
    tokenizer: Tokenizer
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler

    def __init__(self, recipe: Settings, folder: Path, workers: Team, say: Say) -> None:
        self.recipe, self.folder, self.workers, self.say = recipe, folder, workers, say
        self.step, self.seconds, self.library = 0, 0.0, ""
        self.has_ended = False  # before its last step
        self.saved_step, self.saved_at_s = 0, time.monotonic()
        self.watch: Watch | None = None
        self.log: Metrics | None = None

    @abstractmethod
    def step_once(self) -> Callable[[float], Line]:
        """Learn once; what it gives makes the line to tell from the seconds it took.

        `self.step` and `self.seconds` count this step when the line is made.
        """

    @abstractmethod
    def look(self) -> None:
        """Examine the model, and tell what was found."""

    def before_first_step(self) -> None:
        """What is done once, when a run begins and not when it goes on."""
        return  # most kinds do nothing

    # ---- going on, and keeping ----

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.has_ended or self.step >= self.recipe.steps

    def facts(self) -> dict[str, object]:
        """What must be the same, or known, when the run goes on."""
        return {
            "recipe": json.loads(json.dumps(self.recipe.to_dict())),
            "seconds": self.seconds,
            "has_ended": self.has_ended,
            "scaler": self.scaler.state_dict(),
            "matmul_library": self.library,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "device": self.workers.device.type,
            "processes": self.workers.size,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that decides how training goes on."""
        return state.capture(self.model, self.optimizer)

    def go_on_from(self, found: state.State) -> None:
        """Put everything back, and say what could change the last bits."""
        before = found.facts
        state.restore(found.tensors, self.model, self.optimizer)
        self.step, self.seconds = found.step, float(str(before["seconds"]))
        self.has_ended = bool(before["has_ended"])
        self.saved_step = found.step
        self.library = str(before["matmul_library"])
        if self.scaler.is_enabled() and isinstance(before["scaler"], dict):
            self.scaler.load_state_dict(before["scaler"])
        self.say(
            _(
                "Going on after step {step} of {steps}.",
                step=self.step,
                steps=self.recipe.steps,
            )
        )
        now = self.facts()
        for name in ("threads", "torch", "device", "processes"):
            if now[name] != before[name]:
                self.say(
                    _(
                        "This run began with {name} {before} and goes on with {now}: "
                        "its last bits may differ.",
                        name=name,
                        before=before[name],
                        now=now[name],
                    )
                )

    def save(self) -> None:
        """Keep a checkpoint now."""
        if self.log is not None:
            self.log.sync()
            now = state.State(
                step=self.step, tensors=self.tensors(), facts=self.facts()
            )
            state.save_state(self.folder / "states", now)
        self.saved_step, self.saved_at_s = self.step, time.monotonic()

    def _should_save(self) -> bool:
        every = self.recipe.checkpoint_every_steps
        if every and self.step % every == 0:
            return True
        return time.monotonic() - self.saved_at_s >= self.recipe.checkpoint_every_s

    # ---- the work ----

    @contextlib.contextmanager
    def at_work(self, watch: Watch | None) -> Iterator[None]:
        """Inside this block the machine is set up to train, and metrics are kept."""
        self.watch = watch
        self.model.train()
        with runtime.fast_matmul(self.library or None) as library:
            self.library = library
            if not self.workers.leads:
                yield
                return
            with runtime.atomic_write(self.folder / "recipe.json") as file:
                told = json.dumps(self.recipe.to_dict(), indent=2)
                file.write(told.encode() + b"\n")
            with Metrics(self.folder, self.step) as self.log:
                yield
                if self.step > self.saved_step:
                    self.save()

    def one_step(self) -> None:
        """Learn once, tell, look, and keep if it is time."""
        started = time.perf_counter()
        make_line = self.step_once()
        seconds = time.perf_counter() - started
        self.step += 1
        self.seconds += seconds
        if self.workers.leads:  # a line may measure the machine, and once is enough
            self.tell(make_line(seconds))
        every = self.recipe.evaluate_every_steps
        if (every and self.step % every == 0) or self.step == self.recipe.steps:
            self.examine(self.look)
        if self._should_save():
            self.save()

    def examine(self, look: Callable[[], None]) -> None:
        """Look at the model as its users will see it."""
        self.model.eval()
        look()
        self.model.train()

    def tell(self, line: Line) -> None:
        """Keep a line, and show it; only the leading process does."""
        if self.log is None:
            return
        self.log.write(line)
        if self.watch is not None:
            self.watch(line)

    def finish(self) -> Trained:
        """Write the model that others open, if all steps are done."""
        if self.is_done and self.workers.leads:
            self.model.save_pretrained(self.folder / "model")
            self.tokenizer.save(self.folder / "model")
        self.workers.wait()
        return Trained(
            folder=self.folder,
            steps=self.step,
            is_finished=self.is_done,
            fingerprint=state.fingerprint(self.tensors()),
        )
