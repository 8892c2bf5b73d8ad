"""Drivers that pull the plug: while a file is written, and between two steps."""

import builtins
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from sparrow.checks.protocol import Plain, plain
from sparrow.language import _

__all__ = ["interrupted", "power_cut"]

NO_SPACE = 28  # errno.ENOSPC, which every system knows by another text
WRITES = os.O_WRONLY | os.O_RDWR


class Disk:
    """Watches what happens to one file, and refuses one kind of call if asked."""

    def __init__(self, path: Path, refuses: str) -> None:
        self.path, self.refuses = path, refuses
        self.had_one = path.exists()
        self.synced: dict[int, int] = {}  # inode -> bytes that the disk has
        self.told: dict[str, Plain] = dict.fromkeys(
            ("in_place", "renamed", "synced", "elsewhere", "gap"), False
        )

    def is_it(self, path: Any) -> bool:
        """Whether a call is about the file itself."""
        is_name = isinstance(path, str | bytes | os.PathLike)
        return is_name and Path(os.fsdecode(path)).absolute() == self.path

    def opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`open`, in Python's form and in that of the system."""

        def call(path: Any, mode: Any = "r", *rest: Any, **named: Any) -> Any:
            how = named.get("mode", mode)
            writes = how & WRITES if isinstance(how, int) else set(how) & set("wax+")
            if writes and self.is_it(path):
                self.told["in_place"] = True
            return real(path, mode, *rest, **named)

        return call

    def sync(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`os.fsync`: now the disk really has what was written so far."""

        def call(file: Any) -> Any:
            if self.refuses == "sync":
                raise OSError(NO_SPACE, "No space left on device")
            found = os.fstat(file if isinstance(file, int) else file.fileno())
            self.synced[found.st_ino] = found.st_size
            return real(file)

        return call

    def rename(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """`os.replace` and `os.rename`."""

        def call(source: Any, target: Any, *rest: Any, **named: Any) -> Any:
            if self.is_it(target):
                if self.refuses == "rename":
                    raise OSError(NO_SPACE, "No space left on device")
                found = os.stat(source)
                told = self.told
                told["renamed"] = True
                told["synced"] = self.synced.get(found.st_ino) == found.st_size
                folder = Path(os.fsdecode(source)).absolute().parent
                told["elsewhere"] = folder != self.path.parent
                told["gap"] = self.had_one and not self.path.exists()
            return real(source, target, *rest, **named)

        return call

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside this block every call goes through here."""
        from sparrow import runtime

        with ExitStack() as stack:
            for owner, name, wrap in (
                (builtins, "open", self.opened),
                (io, "open", self.opened),
                (os, "open", self.opened),
                (os, "fsync", self.sync),
                (os, "fdatasync", self.sync),
                (os, "replace", self.rename),
                (os, "rename", self.rename),
            ):
                if real := getattr(owner, name, None):
                    stack.enter_context(mock.patch.object(owner, name, wrap(real)))
            stack.enter_context(mock.patch.object(runtime, "atomic_write", _refuse))
            yield


def power_cut(function: Any, inputs: dict[str, Any]) -> Plain:
    """Let a function write a file, and say what happened on the way.

    `inputs` holds `old`, the text that is there before, or None; `new`, the text to
    write; and `refuses`: "sync" or "rename" for a disk that is full just then.

    Returns:
        What is left in the file, how many other files are, whether an error came out,
        and what `Disk` saw.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name).absolute() / "state.bin"
        if inputs["old"] is not None:
            path.write_text(inputs["old"])
        disk = Disk(path, inputs["refuses"])
        raised = False
        try:
            with disk.watched():
                function(path, inputs["new"].encode())
        except OSError as error:
            if error.errno != NO_SPACE:
                raise
            raised = True
        left = path.read_bytes().decode(errors="replace") if path.exists() else None
        others = sum(each != path for each in path.parent.iterdir())
        return {"left": left, "others": others, "raised": raised, **disk.told}


def _refuse(*_arguments: Any, **_named: Any) -> Any:
    raise RuntimeError(_("runtime.atomic_write is what you are asked to write."))


def interrupted(function: Any, inputs: dict[str, Any]) -> Plain:
    """Train a little, let a function keep the state, and go on from it elsewhere.

    `inputs` holds `optimizer`, "sgd" or "adamw"; `dropout`; `seed`; and the numbers of
    steps `before` and `after` the cut.

    Returns:
        The losses after the cut; which kinds of names are `missing`; and whether what
        was kept has `moved` with the training that went on.
    """
    import torch

    from sparrow.train import state

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        model, optimizer = _small(inputs)
        _train(model, optimizer, inputs["before"], inputs["seed"])
        kept = dict(function(model, optimizer))
        copies = {name: each.clone() for name, each in kept.items()}
        _train(model, optimizer, 2, inputs["seed"])  # the power is still on
        moved = any(not torch.equal(kept[name], each) for name, each in copies.items())
        torch.manual_seed(inputs["seed"] + 1)
        model, optimizer = _small(inputs)
        whole = {f"model.{name}": each for name, each in model.state_dict().items()}
        whole["generator.cpu"] = torch.get_rng_state()
        missing = sorted(whole.keys() - kept.keys())
        if inputs["optimizer"] == "adamw" and not any(
            name.startswith("optimizer.") for name in kept
        ):
            missing.append("optimizer")
        known = {
            name: each
            for name, each in kept.items()
            if name in whole or name.startswith("optimizer.")
        }
        state.restore({**whole, **known}, model, optimizer)
        losses = _train(model, optimizer, inputs["after"], inputs["seed"])
    return plain({"losses": losses, "missing": missing, "moved": moved})


def _small(inputs: dict[str, Any]) -> Any:
    """A model with everything that can be forgotten: weights, a buffer, chance."""
    import torch
    from torch import nn

    class Small(nn.Module):
        bias: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(6, 8), nn.Linear(8, 1)
            self.dropout = nn.Dropout(inputs["dropout"])
            self.register_buffer("bias", torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = torch.tanh(self.inner(x))
            with torch.no_grad():  # like the experts' selection bias
                self.bias += 0.05 * inner.mean(0).sign()
            out: torch.Tensor = self.outer(self.dropout(inner + self.bias))
            return out

    model = Small()
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    return model, kinds[inputs["optimizer"]](model.parameters(), lr=0.05)


def _train(model: Any, optimizer: Any, steps: int, seed: int) -> list[float]:
    """Some steps on one batch; the loss of each."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    x, y = torch.randn(16, 6, generator=draw), torch.randn(16, 1, generator=draw)
    losses = []
    for _step in range(steps):
        loss = (model(x) - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
