"""Read a lab's source: MyST Markdown, with the exercises in its cells' metadata."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparrow.language import _
from workshop.build.failures import LabNotFoundError, SourceError

__all__ = ["ROOT", "Cell", "Lab", "find", "names", "read"]

ROOT = Path(__file__).parents[3]


@dataclass(kw_only=True)
class Cell:
    """One cell as it was written."""

    kind: str  # "markdown" or "code"
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    line: int = 1  # of the source file, where the cell begins

    @property
    def exercise(self) -> str | None:
        """The number of the exercise, such as `2.3`, if the cell is one."""
        return self.metadata.get("exercise")


@dataclass(kw_only=True)
class Lab:
    """A whole source; `about` is the `sparrow:` block of its first lines."""

    name: str
    path: Path
    about: dict[str, Any]
    kernelspec: dict[str, str]
    cells: list[Cell]

    @property
    def exercises(self) -> list[Cell]:
        """The cells that are exercises, in order."""
        return [cell for cell in self.cells if cell.exercise is not None]

    @property
    def is_numbered(self) -> bool:
        """A lab such as `02_latent_attention`, and not a page such as `tour`."""
        return self.name[:2].isdigit()


def names(root: Path = ROOT) -> list[str]:
    """All labs that have a source."""
    return sorted(path.stem for path in (root / "solutions").glob("*.md"))


def find(name: str, root: Path = ROOT) -> Path:
    """The source of a lab.

    Raises:
        LabNotFoundError: there is none of that name.
    """
    known = names(root)
    if name in known:
        return root / "solutions" / f"{name}.md"
    if not known:
        raise LabNotFoundError(
            _(
                "There is no lab source in {folder}: go to the project's folder, or "
                "name it with --root.",
                folder=root / "solutions",
            )
        )
    if near := difflib.get_close_matches(name, known, n=3):
        raise LabNotFoundError(
            _(
                'There is no lab "{name}"; did you mean {near}?',
                name=name,
                near=", ".join(near),
            )
        )
    raise LabNotFoundError(
        _(
            'There is no lab "{name}"; there are: {labs}.',
            name=name,
            labs=", ".join(known),
        )
    )


def read(path: Path) -> Lab:
    """Read a source and check the metadata of its exercises.

    Raises:
        SourceError: it cannot be read, or an exercise contradicts itself.
    """
    from workshop.build import exercises

    text, notebook = _parse(path)
    about = notebook.metadata.get("sparrow")
    if not isinstance(about, dict) or about.get("lab") != path.stem:
        raise SourceError(
            _(
                '{path}: its first lines must hold a block "sparrow:" with '
                'lab: "{name}".',
                path=path.name,
                name=path.stem,
            )
        )
    cells = [
        Cell(
            kind="code" if each.cell_type == "code" else "markdown",
            text=each.source.strip("\n"),
            metadata=dict(each.metadata),
        )
        for each in notebook.cells
    ]
    lab = Lab(
        name=path.stem,
        path=path,
        about=dict(about),
        kernelspec=dict(notebook.metadata.get("kernelspec", {})),
        cells=[cell for cell in cells if cell.text or cell.exercise],
    )
    _number_lines(lab, text.splitlines())
    exercises.check(lab)
    return lab


def _parse(path: Path) -> tuple[str, Any]:
    """The file's text, and the notebook that jupytext makes of it."""
    import jupytext  # late: it takes half a second to import

    try:
        text = path.read_text("utf-8")
        if not text.startswith("---\n"):
            raise SourceError(
                _("{path}: it must begin with a block of ---.", path=path.name)
            )
        return text, jupytext.reads(text, fmt="md:myst")
    except SourceError:
        raise
    except Exception as error:  # jupytext and its parsers raise many kinds
        reason = " ".join(str(error).split())
        raise SourceError(
            _(
                "{path} is not valid MyST Markdown ({reason}): mend it there.",
                path=path.name,
                reason=reason.rstrip("."),
            )
        ) from error


def _number_lines(lab: Lab, lines: list[str]) -> None:
    """Note where each cell begins; jupytext does not say it."""
    place = 0
    for cell in lab.cells:
        first = cell.text.partition("\n")[0].strip()
        number = f'"{cell.exercise}"' if cell.exercise else None
        for at in range(place, len(lines)):
            line = lines[at].strip()
            found = "exercise" in line and number in line if number else line == first
            if found:
                cell.line, place = at + 1, at + 1
                break
