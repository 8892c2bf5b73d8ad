"""Pretraining: read a batch, step, look, and keep everything where no power cut hurts.

FOLDER/recipe.json       what was asked for
FOLDER/metrics.jsonl     what was told, one line a step
FOLDER/states/           checkpoints to go on from
FOLDER/model/            at the end: a checkpoint that transformers opens
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sparrow import runtime
from sparrow.cost.measure import matmul_rate
from sparrow.cost.training import training_flops_per_token
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.model.compiled import compile_layers
from sparrow.train import metrics, state
from sparrow.train.held_out import score_parts
from sparrow.train.learner import Learner
from sparrow.train.parallel import Team, team
from sparrow.train.prepare import Lessons, prepare
from sparrow.train.recipe import Recipe
from sparrow.train.stopping import stop_gently

__all__ = ["Trained", "Watch", "pretrain"]

Watch = Callable[[metrics.Step | metrics.HeldOut], None]
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


def pretrain(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = True,
    watch: Watch | None = None,
    say: Say = lambda _sentence: None,
) -> Trained:
    """Train a model from nothing, or go on where an earlier run in `folder` stopped.

    On a CPU the resumed run equals the uninterrupted one, bit for bit. Several
    processes, started by `torchrun`, share each batch.

    Args:
        recipe: what to train, on what, and how.
        folder: where everything is kept.
        resume: False: refuse a folder that holds a run.
        watch: is told every step and every look at held-out text.
        say: is told, in sentences, what a person should know.

    Raises:
        ConfigError: the folder holds a run of another recipe.
        CheckpointError: all its checkpoints are damaged.
        CorpusError: the text cannot be read.
        StorageError: the folder cannot be written, or the disk is full.
    """
    runtime.writable_folder(folder)
    found = _what_is_there(recipe, folder, resume)
    with team(runtime.device()) as workers, _own_generators(recipe.seed, workers):
        run = _Run(recipe, folder, workers, say)
        if found is not None:
            run.go_on_from(found)
        with run.at_work(watch), stop_gently() as wish:
            while run.step < recipe.steps and not workers.any(wish.is_there):
                run.one_step()
        return run.finish()


def _what_is_there(recipe: Recipe, folder: Path, resume: bool) -> state.State | None:
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
    assert isinstance(told, dict), "written by _Run.facts"
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


class _Run:
    """One run in one process: where it stands, and where it keeps things."""

    def __init__(self, recipe: Recipe, folder: Path, workers: Team, say: Say) -> None:
        self.recipe, self.folder, self.workers, self.say = recipe, folder, workers, say
        self.lessons: Lessons = prepare(recipe)
        config = recipe.model.replace(eos_token_id=self.lessons.tokenizer.end)
        self.model = Sparrow(config).to(workers.device)
        if recipe.compile and not compile_layers(self.model):
            say(_("There is no C++ compiler here: nothing is compiled."))
        self.learner = Learner(self.model, recipe, workers)
        self.flops_per_step = recipe.tokens_per_step * training_flops_per_token(
            config, recipe.length
        )
        self.step, self.seconds, self.library = 0, 0.0, ""
        self.saved_step, self.saved_at_s = 0, time.monotonic()
        self.peak_flops_per_s = 1.0
        self.watch: Watch | None = None
        self.log: metrics.Metrics | None = None

    # ---- going on, and keeping ----

    def facts(self) -> dict[str, object]:
        """What must be the same, or known, when the run goes on."""
        return {
            "recipe": json.loads(json.dumps(self.recipe.to_dict())),
            "seconds": self.seconds,
            "scaler": self.learner.scaler.state_dict(),
            "matmul_library": self.library,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "device": self.workers.device.type,
            "processes": self.workers.size,
        }

    def go_on_from(self, found: state.State) -> None:
        """Put everything back, and say what could change the last bits."""
        learner, before = self.learner, found.facts
        state.restore(found.tensors, self.model, learner.optimizer)
        self.step, self.seconds = found.step, float(str(before["seconds"]))
        self.saved_step = found.step
        self.library = str(before["matmul_library"])
        if learner.scaler.is_enabled() and isinstance(before["scaler"], dict):
            learner.scaler.load_state_dict(before["scaler"])
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
            tensors = state.capture(self.model, self.learner.optimizer)
            now = state.State(step=self.step, tensors=tensors, facts=self.facts())
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
            self.peak_flops_per_s = matmul_rate(where=self.workers.device).median
            with metrics.Metrics(self.folder, self.step) as self.log:
                yield
                if self.step > self.saved_step:
                    self.save()

    def one_step(self) -> None:
        """Learn from one batch, tell, look, and keep if it is time."""
        started = time.perf_counter()
        learned = self.learner.learn(self.lessons.stream.batch(self.step), self.step)
        seconds = time.perf_counter() - started
        self.step += 1
        self.seconds += seconds
        if self.workers.leads:
            tokens = self.recipe.tokens_per_step
            peak = self.peak_flops_per_s * self.workers.size
            self._tell(
                metrics.Step(
                    step=self.step,
                    tokens=self.step * tokens,
                    seconds=self.seconds,
                    tokens_per_s=tokens / seconds,
                    flops_frac=self.flops_per_step / seconds / peak,
                    **asdict(learned),
                )
            )
            every = self.recipe.evaluate_every_steps
            if (every and self.step % every == 0) or self.step == self.recipe.steps:
                self._look()
        if self._should_save():
            self.save()

    def _tell(self, line: metrics.Step | metrics.HeldOut) -> None:
        assert self.log is not None, "only the leading process tells"
        self.log.write(line)
        if self.watch is not None:
            self.watch(line)

    def _look(self) -> None:
        """How well the model predicts text that it never reads."""
        self.model.eval()
        scores = score_parts(self.model, self.lessons, self.recipe.length)
        for name, scored in scores.items():
            self._tell(
                metrics.HeldOut(
                    step=self.step,
                    part=name,
                    bits_per_byte=scored.bits_per_byte,
                    text_bytes=scored.text_bytes,
                )
            )
        self.model.train()

    def finish(self) -> Trained:
        """Write the model that others open, if all steps are done."""
        is_finished = self.step >= self.recipe.steps
        if is_finished and self.workers.leads:
            self.model.save_pretrained(self.folder / "model")
            self.lessons.tokenizer.save(self.folder / "model")
        self.workers.wait()
        return Trained(
            folder=self.folder,
            steps=self.step,
            is_finished=is_finished,
            fingerprint=state.fingerprint(
                state.capture(self.model, self.learner.optimizer)
            ),
        )
