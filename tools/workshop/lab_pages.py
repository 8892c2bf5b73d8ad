"""Show a lab as its learner gets it, with the outputs of the finished one.

The finished notebook is run, and its outputs go to the learner's cells of the same id.
Exercise and check cells keep none: those are the learner's.
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from sparrow import runtime
from sparrow.errors import AssetError, SparrowError
from sparrow.language import _

__all__ = [
    "BookError",
    "Lab",
    "WeightsMissingError",
    "executed",
    "find_labs",
    "page",
    "read_notebook",
]

CELL_SECONDS = 600
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
STILL = ("text/html", "text/markdown", "image/svg+xml", "image/png")
# Links that work in JupyterLab, and what they are in the book.
LINKS = (
    (re.compile(r"\]\(\.\./\.\./book/"), "](../"),
    (re.compile(r"\]\(\.\./(\w+)/\1\.ipynb"), r"](\1.ipynb"),
)


class BookError(SparrowError):
    """The book cannot be built; the sentence says what to mend."""


class WeightsMissingError(BookError):
    """A lab uses real weights that are not on this machine and cannot be fetched."""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab's two notebooks; they are the same one where nothing is left out."""

    name: str
    learner: Path
    full: Path


def find_labs(root: Path) -> list[Lab]:
    """The labs that are built, in reading order; what has no number comes first."""
    labs = []
    for folder in (root / "labs").glob("*/"):
        learner = folder / f"{folder.name}.ipynb"
        full = root / "solutions" / folder.name / learner.name
        if learner.is_file():
            labs.append(
                Lab(
                    name=folder.name,
                    learner=learner,
                    full=full if full.is_file() else learner,
                )
            )
    return sorted(labs, key=lambda lab: (lab.name[:1].isdigit(), lab.name))


def read_notebook(path: Path) -> Any:
    """Read a notebook.

    Raises:
        BookError: it cannot be read, or is no notebook.
    """
    import nbformat

    try:
        return nbformat.reads(path.read_text("utf-8"), as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise BookError(
            _(
                "{path} is not a notebook that can be read: run `workshop build`.",
                path=path,
            )
        ) from error


def executed(lab: Lab, sources: str, cache: Path) -> Any:
    """Run the full notebook, or take its last run if nothing has changed since.

    Args:
        lab: what to run.
        sources: a hash of the library that the notebook imports.
        cache: the folder of earlier runs.

    Raises:
        WeightsMissingError: a cell needs weights, and there is no network.
        BookError: a cell failed.
    """
    import nbformat

    state = hashlib.sha256(sources.encode() + lab.full.read_bytes()).hexdigest()[:16]
    kept = cache / f"{lab.name}.{state}.ipynb"
    if kept.is_file():
        return read_notebook(kept)
    notebook = _run(lab)
    for old in cache.glob(f"{lab.name}.*.ipynb"):
        old.unlink()
    with runtime.atomic_write(kept) as file:
        file.write(nbformat.writes(notebook).encode())
    return notebook


def _run(lab: Lab) -> Any:
    """Run a notebook in an empty folder, with an empty learner's home."""
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )
    from traitlets.config import Config

    notebook = read_notebook(lab.full)
    with TemporaryDirectory(prefix="sparrow-book-") as folder:
        Path(folder, "work").mkdir()
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,  # a sentence printed in pieces is one output
            resources={"metadata": {"path": f"{folder}/work"}},
            config=Config({"KernelManager": _transport(folder)}),
        )
        try:
            client.execute(
                env=runtime.environment_with(
                    SPARROW_HOME=f"{folder}/home", SPARROW_LANGUAGE="en"
                )
            )
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            last = click.unstyle(str(error).strip().splitlines()[-1])
            if getattr(error, "ename", "") == AssetError.__name__:
                raise WeightsMissingError(last) from error
            raise BookError(
                _(
                    "The finished notebook of lab {lab} does not run to its end: "
                    "{reason}. Mend it, then build the book again.",
                    lab=lab.name,
                    reason=last,
                )
            ) from error
    return notebook


def _transport(folder: str) -> dict[str, str]:
    """How to talk to the kernel: by files, which no other user of the machine can open.

    Windows has no such files.
    """
    if sys.platform == "win32":
        return {"transport": "tcp"}
    return {"transport": "ipc", "ip": f"{folder}/kernel"}


def page(lab: Lab, finished: Any) -> Any:
    """The learner's notebook with the outputs of `finished`.

    Raises:
        BookError: the two notebooks do not fit, or a widget has no still picture.
    """
    shown = read_notebook(lab.learner)
    shown.metadata = finished.metadata  # with the language that the kernel named
    shown.metadata.pop("widgets", None)
    by_id = {cell.id: cell for cell in finished.cells}
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            for pattern, replacement in LINKS:
                cell.source = pattern.sub(replacement, cell.source)
        if cell.cell_type != "code":
            continue
        role = cell.metadata.get("sparrow", {}).get("role")
        cell.outputs, cell.execution_count = [], None
        if role in ("answer", "check"):
            name = "exercise" if role == "answer" else "check"
            cell.metadata.tags = [*cell.metadata.get("tags", []), name]
            continue
        if cell.id not in by_id:
            raise BookError(
                _(
                    'Lab {lab}: the cell "{cell}" is not in the full notebook: run '
                    "`workshop build {lab}`.",
                    lab=lab.name,
                    cell=cell.id,
                )
            )
        cell.outputs = [_still(lab, each) for each in by_id[cell.id].outputs]
        cell.execution_count = by_id[cell.id].execution_count
    return shown


def _still(lab: Lab, output: Any) -> Any:
    """An output without its moving part."""
    data = output.get("data", {})
    if WIDGET_VIEW in data:
        del data[WIDGET_VIEW]
        if not any(kind in data for kind in STILL):
            raise BookError(
                _(
                    "Lab {lab}: a widget has no still picture for the book: give it "
                    "a `_repr_mimebundle_` with text/html or image/svg+xml.",
                    lab=lab.name,
                )
            )
    return output
