"""Find text of the tests that training has read: runs of n words in both."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Overlap", "clean", "overlap"]

WORD = re.compile(r"\w+|[^\w\s]")
SHOWN = 5


@dataclass(frozen=True)
class Overlap:
    """How much of the held-out text was met in training."""

    n: int
    documents: int  # held out and long enough to have a run of n words
    met: int  # of them, how many share such a run with training
    examples: tuple[str, ...]  # a few of the runs that are shared

    @property
    def share_frac(self) -> float:
        """The part of the documents that is met; 0 if there are none."""
        return self.met / self.documents if self.documents else 0.0


def overlap(train: Iterable[str], held_out: Iterable[str], n: int = 13) -> Overlap:
    """Which held-out documents share a run of `n` words with the training text.

    A word is a run of letters and digits, or one other mark; case does not count. GPT-3
    looked for 13 words (arXiv:2005.14165, appendix C). Short texts need a smaller n:
    a document with fewer than `n` words is not looked at.

    Args:
        train: documents that are learned from.
        held_out: documents to be tested on.
        n: words in a run, at least 1.
    """
    wanted = [set(_runs(document, n)) for document in held_out]
    wanted = [runs for runs in wanted if runs]
    asked = set().union(*wanted)
    # Only runs that somebody asks for are kept: training text may be large.
    met = {run for document in train for run in _runs(document, n) if run in asked}
    examples = sorted(" ".join(run) for run in met)[:SHOWN]
    count = sum(not runs.isdisjoint(met) for runs in wanted)
    return Overlap(n, len(wanted), count, tuple(examples))


def clean(train: Iterable[str], held_out: Iterable[str], n: int = 13) -> Iterator[str]:
    """The training documents that share no run of `n` words with held-out ones."""
    asked = {run for document in held_out for run in _runs(document, n)}
    for document in train:
        if asked.isdisjoint(_runs(document, n)):
            yield document


def _runs(document: str, n: int) -> Iterator[tuple[str, ...]]:
    words = WORD.findall(document.casefold())
    return zip(*(words[place:] for place in range(n)), strict=False)
