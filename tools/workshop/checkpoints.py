"""Train a model that travels with the package, and write down where it comes from.

    workshop checkpoint pico-base

runs the committed command (after a power cut the same command goes on), then puts the
weights, the tokenizer, a manifest and a thinned log into `src/sparrow/checkpoints`.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import click

from sparrow import runtime
from sparrow.checkpoints import FOLDER, LOG, MANIFEST
from sparrow.checkpoints.stages import STAGES
from sparrow.errors import SparrowError
from sparrow.language import _

__all__ = ["checkpoint", "manifest"]

ROOT = Path(__file__).parents[2]
LONG = ("step", "rollouts")  # kinds of lines that come at every step
THINNED = 20  # of those, one in so many is kept


class TrainingError(SparrowError):
    """The command did not come to its end."""


def manifest(name: str, run: Path, model: Path) -> dict[str, object]:
    """What the model is, how it was made, on what machine, and how good it is."""
    import torch

    here = runtime.machine()
    return {
        "name": name,
        "command": " ".join(("sparrow", *STAGES[name].words())),
        "from": list(STAGES[name].models.values()),
        "recipe": json.loads((run / "recipe.json").read_text("utf-8")),
        **_results(run),
        "machine": {
            "cores": here.cores,
            "threads": torch.get_num_threads(),
            "processor": runtime.processor(),
            "device": here.device_name,
            "python": here.python,
            "torch": here.torch,
        },
        "date": date.today().isoformat(),
        "licence": "Apache-2.0",
        "sha256": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(model.iterdir())
        },
    }


def _results(run: Path) -> dict[str, object]:
    """The last line of each kind that the run told, and its last look at each part."""
    lines = (run / LOG).read_text("utf-8").splitlines()
    last: dict[str, dict[str, object]] = {}
    parts: dict[str, object] = {}
    for line in map(json.loads, lines):
        if line["kind"] == "held_out":
            parts[line["part"]] = line["bits_per_byte"]
        else:
            last[line.pop("kind")] = line
    found: dict[str, object] = {}
    if step := last.pop("step", None):
        found["training"] = {
            "steps": step["step"],
            "tokens": step["tokens"],
            "seconds": round(float(str(step["seconds"])), 1),
            "last_loss_nats_per_token": step["loss"],
        }
    if parts:
        found["held_out_bits_per_byte"] = parts
    return found | last


def _is_kept(line: str) -> bool:
    told = json.loads(line)
    return bool(told["kind"] not in LONG or told["step"] % THINNED == 0)


@click.command()
@click.argument("name", type=click.Choice(list(STAGES)))
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help="The run's folder (default: shipped/NAME in your sparrow folder).",
)
def checkpoint(name: str, run: Path | None) -> None:
    """Train NAME by its committed command and ship it with the package."""
    folder = run or runtime.home_folder() / "shipped" / name
    command = [
        *(sys.executable, "-c", "from sparrow.cli import main; main()"),
        *(*STAGES[name].words(), "--folder", str(folder)),
    ]
    done = subprocess.run(command, check=False)
    model = folder / "model"
    if done.returncode or not model.is_dir():  # a model may be there from before
        raise TrainingError(
            _("{name} is not finished; the same command goes on.", name=name)
        )
    target = FOLDER / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(model, target)
    told = manifest(name, folder, model)
    with runtime.atomic_write(target / MANIFEST) as file:
        file.write(json.dumps(told, indent=2).encode() + b"\n")
    lines = (folder / LOG).read_text("utf-8").splitlines()
    with runtime.atomic_write(target / LOG) as file:
        file.writelines(line.encode() + b"\n" for line in lines if _is_kept(line))
    click.echo(target)
