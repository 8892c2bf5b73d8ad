"""Everything that a run needs to go on as if nothing had happened, in one file.

Weights alone are not enough: the optimizer remembers, the experts' biases have moved,
and the random generators stand somewhere. A file holds all of it, or is not there.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sparrow import runtime
from sparrow.errors import CheckpointError
from sparrow.language import _

__all__ = [
    "State",
    "capture",
    "fingerprint",
    "newest_state",
    "open_state",
    "restore",
    "save_state",
    "state_files",
    "write_whole",
]

NAME = re.compile(r"step-(\d{8})\.safetensors")
KEEP = 2  # if the newest is damaged, the one before it is still there


@dataclass(frozen=True, kw_only=True)
class State:
    """A run at one step: tensors by name, and facts that JSON can hold."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, object]


def capture(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors that decide how training goes on.

    Returns:
        `model.NAME`, `optimizer.INDEX.NAME` and `generator.DEVICE`.
    """
    # 1. The weights, and the buffers: the experts' selection biases.
    tensors = {f"model.{name}": each for name, each in model.state_dict().items()}
    # 2. What the optimizer remembers of each weight.
    for index, memory in optimizer.state_dict()["state"].items():
        for name, value in memory.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    # 3. Where the random generators stand.
    tensors["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    return {name: each.detach().cpu().clone() for name, each in tensors.items()}


@torch.no_grad()
def restore(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put everything back where `capture` found it.

    Raises:
        CheckpointError: it is the state of a model of another shape.
    """
    # 1. Weights and buffers, into the memory that the model already has.
    own = model.state_dict()
    names = {name for name in tensors if name.startswith("model.")}
    if names != {f"model.{name}" for name in own} or any(
        tensors[f"model.{name}"].shape != each.shape for name, each in own.items()
    ):
        raise CheckpointError(
            _("this state belongs to a model of another shape: its weights do not fit.")
        )
    for name, each in own.items():
        each.copy_(tensors[f"model.{name}"])
    # 2. What the optimizer remembers; its settings come from the recipe.
    memory: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _optimizer, index, key = name.split(".", 2)
            memory.setdefault(int(index), {})[key] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": memory, "param_groups": groups})
    # 3. The random generators.
    torch.set_rng_state(tensors["generator.cpu"].clone())
    if "generator.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["generator.cuda"].clone())


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """One short text for all numbers: equal only if every bit is. SHA-256, in hex."""
    digest = hashlib.sha256()
    # 1. In the order of the names, so that the order of saving does not matter.
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        # 2. The name, the shape and the precision count too.
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        # 3. Then the bytes themselves.
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_state(folder: Path, state: State) -> Path:
    """Write a checkpoint that is whole or not there; keep the newest `KEEP`.

    Raises:
        StorageError: the disk is full or the folder cannot be written; the older
            checkpoints are untouched.
    """
    # 1. Everything in one piece of bytes, with its own fingerprint.
    told = {
        "step": state.step,
        "facts": state.facts,
        "fingerprint": fingerprint(state.tensors),
    }
    data = save(state.tensors, metadata={"state": json.dumps(told)})
    # 2. Whole or not at all.
    path = runtime.writable_folder(folder) / f"step-{state.step:08d}.safetensors"
    try:
        write_whole(path, data)
    except OSError as error:
        raise runtime.not_written(path, error) from error
    # 3. Only now may an old one go.
    for old in state_files(folder)[KEEP:]:
        old.unlink()
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, whenever the power goes.

    Until the last moment the old file, if there is one, stands untouched.

    Args:
        path: the file; its folder exists.
        data: what it shall hold.

    Raises:
        OSError: the disk is full or refuses; nothing was changed, nothing is left over.
    """
    # 1. A temporary name in the same folder: across disks a rename would copy.
    temporary = path.with_name(f".{path.name}.part")
    try:
        # 2. Write all of it, and wait until the disk has it.
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # 3. Give it its name: that happens at one moment.
        os.replace(temporary, path)
        runtime.sync_folder(path.parent)
    finally:
        # 4. If anything went wrong, leave nothing over.
        temporary.unlink(missing_ok=True)


def state_files(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name, reverse=True)


def open_state(path: Path) -> State:
    """Read one checkpoint, and prove that no bit has changed.

    Raises:
        CheckpointError: it was cut short, damaged, or is no checkpoint.
    """
    try:
        with safe_open(str(path), "pt") as file:
            told = json.loads((file.metadata() or {})["state"])
            # clones: tensors of a mapped file may stand at any address
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            _(
                "{path} cannot be read ({reason}): it was cut short or damaged.",
                path=path,
                reason=error,
            )
        ) from error
    if fingerprint(tensors) != told["fingerprint"]:
        raise CheckpointError(
            _("{path} is damaged: its numbers are not those saved.", path=path)
        )
    return State(step=told["step"], tensors=tensors, facts=told["facts"])


def newest_state(folder: Path) -> State | None:
    """The newest checkpoint that is whole; None if there is none.

    Raises:
        CheckpointError: there are checkpoints, and none of them can be read.
    """
    # 1. From the newest to the oldest, the first that can be read.
    problem: CheckpointError | None = None
    for path in state_files(folder):
        try:
            return open_state(path)
        except CheckpointError as error:
            problem = problem or error
    # 2. All damaged: say so, rather than silently begin again.
    if problem is not None:
        raise problem
    return None
