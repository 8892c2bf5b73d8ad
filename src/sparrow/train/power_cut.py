"""Train in a process of its own, so that somebody can pull its plug."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sparrow import runtime
from sparrow.errors import SparrowError
from sparrow.language import _
from sparrow.train import metrics

__all__ = ["Life", "finish", "losses", "start", "wait_for"]

LOG = "log.txt"
PAUSE_S, LOOK_S = 0.02, 0.25
COMMAND = "from sparrow.cli import main; main()"
# Small enough for one core and half a minute.
SMALL = (
    *("--batch-size", "8", "--length", "64", "--corpus-mb", "0.4"),
    *("--warmup-steps", "10", "--evaluate-every-steps", "0"),
)
Life = tuple[int, list[float]]  # the first step of one process, and its losses


class ChildError(SparrowError):
    """A training process that ended before it should."""


def start(
    folder: Path,
    *,
    seed: int,
    steps: int,
    checkpoint_every_steps: int = 10,
    more: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Begin a small run of `pico` in a new process, or let it go on.

    It computes with one thread: then two runs share two cores, and the order of every
    sum is the same. What it says goes to `log.txt` in its folder.

    Args:
        folder: of the run; the same folder again goes on.
        seed: decides the first weights and the order of the text.
        steps: how many steps.
        checkpoint_every_steps: how often the state is kept.
        more: other flags of `sparrow pretrain`.
    """
    runtime.writable_folder(folder)
    flags = [
        *("--folder", str(folder), "--seed", str(seed), "--steps", str(steps)),
        *("--checkpoint-every-steps", str(checkpoint_every_steps), *SMALL, *more),
    ]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, "pretrain", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=runtime.environment_with(OMP_NUM_THREADS="1", SPARROW_DEVICE="cpu"),
        )


def wait_for(child: subprocess.Popen[bytes], folder: Path, step: int) -> int:
    """Wait until a run has told that this step is done; the last step told.

    Raises:
        ChildError: it ended before.
    """
    while True:
        last = _last_step(folder)
        if last >= step:
            return last
        if child.poll() is not None:
            raise _ended(folder, last)
        time.sleep(PAUSE_S)


def finish(
    children: Mapping[Path, subprocess.Popen[bytes]],
    tell: Callable[[float], None] = lambda _steps: None,
) -> None:
    """Wait until some runs have done all their steps.

    Args:
        children: the process of each run, by its folder.
        tell: is called now and then with the steps that all of them have done.

    Raises:
        ChildError: one ended before.
    """
    going = dict(children)
    while going:
        for folder, child in list(going.items()):
            if child.poll() is None:
                continue
            del going[folder]
            if child.returncode != 0:
                raise _ended(folder, _last_step(folder))
        tell(sum(map(_last_step, children)))
        time.sleep(LOOK_S if going else 0)


def losses(folder: Path, after: int = 0) -> Life:
    """What a run has told after a step: its first step, and the losses from there."""
    steps, _looks = metrics.read(folder)
    told = [each for each in steps if each.step > after]
    return (told[0].step if told else after + 1), [each.loss for each in told]


def _last_step(folder: Path) -> int:
    """The newest step that a run has told; 0 before the first."""
    steps, _looks = metrics.read(folder)
    return steps[-1].step if steps else 0


def _ended(folder: Path, step: int) -> ChildError:
    log = folder / LOG
    said = log.read_text("utf-8", "replace").strip() if log.exists() else ""
    return ChildError(
        _(
            "The training process ended after step {step}. Its last words: {said}",
            step=step,
            said=said.rpartition("\n")[2] or _("none"),
        )
    )
