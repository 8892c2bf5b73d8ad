"""What a model reads, and what it is tested on: apart from the start, by construction.

`build("pico")` needs no network: number facts and puzzles that are generated, and prose
that every Python brings along. Any file or folder of text can take its place.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from sparrow.data import arithmetic, contamination, prose, puzzles
from sparrow.errors import CorpusError
from sparrow.language import _
from sparrow.runtime import generator

__all__ = ["Corpus", "build", "held_out"]

ARITHMETIC_FRAC, PROSE_FRAC = 0.5, 0.18  # of the bytes of pico; puzzles are the rest
HELD_OUT_SIZE = 32_000  # bytes of each part
HELD_OUT_SEED = 20_241_227  # one for all: every run is tested on the same text
HELD_OUT_ONE_IN = 20
PASSAGE = 2_000  # characters; a file is read in passages of about this length


@dataclass(frozen=True)
class Corpus:
    """Documents to learn from, and named parts that no training may read."""

    train: tuple[str, ...]
    held_out: dict[str, tuple[str, ...]]

    @property
    def train_bytes(self) -> int:
        """How much there is to learn from, in bytes of UTF-8."""
        return sum(len(document.encode()) for document in self.train)


def build(name: str | Path, *, seed: int = 0, size: int = 8_000_000) -> Corpus:
    """Make the corpus called `name`, or read a file or folder of text.

    The same name, seed and size give the same corpus, on the same Python version. The
    held-out parts do not depend on the seed or the size.

    Args:
        name: `"pico"`, or the path of a file or folder.
        seed: decides which facts and puzzles are drawn; without effect on files.
        size: about how many bytes to learn from, at most.

    Raises:
        CorpusError: the path does not exist, or holds no text.
    """
    if name == "pico":
        return _pico(seed, size)
    return _from_files(Path(name).expanduser(), size)


def _pico(seed: int, size: int) -> Corpus:
    draw = generator(seed)
    tested = held_out()
    told = prose.documents(round(size * PROSE_FRAC), held_out=False)
    # modules quote each other, and no split by module can help that
    documents = list(contamination.clean(told, tested["prose"]))
    numbers = round(size * ARITHMETIC_FRAC)
    documents += arithmetic.documents(draw, numbers, held_out=False)
    left = size - sum(len(each.encode()) for each in documents)
    documents += puzzles.documents(draw, left, held_out=False)
    order = torch.randperm(len(documents), generator=draw).tolist()
    return Corpus(tuple(documents[place] for place in order), tested)


def held_out() -> dict[str, tuple[str, ...]]:
    """The parts of pico that nobody trains on: the same for every seed and size."""
    draw = generator(HELD_OUT_SEED)
    parts = {
        "arithmetic": arithmetic.documents(draw, HELD_OUT_SIZE, held_out=True),
        "puzzles": puzzles.documents(draw, HELD_OUT_SIZE, held_out=True),
        "prose": prose.documents(HELD_OUT_SIZE, held_out=True),
    }
    return {name: tuple(documents) for name, documents in parts.items()}


def _from_files(path: Path, size: int) -> Corpus:
    """Passages of the user's own text; one in twenty is held out, by its hash."""
    passages: list[str] = []
    for file in _files(path):
        passages += _passages(_text(file))
        if sum(map(len, passages)) >= size:
            break
    if not passages:
        raise CorpusError(_("{path} holds no text to learn from.", path=path))
    # The same passage twice is on one side. At least one is held out if there are two.
    ranked = sorted(set(passages), key=_digest)
    chosen = set(ranked[: max(len(ranked) // HELD_OUT_ONE_IN, len(ranked) > 1)])
    train = tuple(each for each in passages if each not in chosen)
    return Corpus(train, {"text": tuple(each for each in ranked if each in chosen)})


def _files(path: Path) -> list[Path]:
    """The file, or every file of the folder that is not hidden, by name."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CorpusError(
            _(
                'There is no corpus "{path}": give pico, or a file or folder of text.',
                path=path,
            )
        )
    inside = (each.relative_to(path) for each in path.rglob("*"))
    shown = sorted(
        each for each in inside if not any(part.startswith(".") for part in each.parts)
    )
    return [path / each for each in shown if (path / each).is_file()]


def _text(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CorpusError(
            _(
                "{file} could not be read ({reason}).",
                file=file,
                reason=error.strerror or error,
            )
        ) from error
    except UnicodeDecodeError as error:
        raise _no_text(file) from error
    if "\0" in text:
        raise _no_text(file)
    return text


def _no_text(file: Path) -> CorpusError:
    return CorpusError(
        _(
            "{file} is no text in UTF-8: convert it, or take it out of the folder.",
            file=file,
        )
    )


def _passages(text: str) -> Iterator[str]:
    """Paragraphs, joined until they are long enough; a longer one is cut."""
    passage = ""
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        for first in range(0, len(paragraph), PASSAGE):
            piece = paragraph[first : first + PASSAGE]
            if passage and len(passage) + len(piece) > PASSAGE:
                yield passage
                passage = ""
            passage = f"{passage}\n\n{piece}" if passage else piece
    if passage.strip():
        yield passage


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
