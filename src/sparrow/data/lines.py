"""Draw lines until there are enough of each kind, and put several into a document."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch

__all__ = ["LEAST_DRAWN", "Draw", "drawn", "in_documents"]

Draw = Callable[[int], Iterable[str]]  # so many tries; some may give no line
LEAST_DRAWN = 1000  # at a time: fewer would cost more calls than they save draws


def drawn(
    draws: Mapping[str, Draw],
    shares: Mapping[str, float],
    count: int,
    *,
    generator: torch.Generator,
    tries: int,
    each_once: bool,
) -> list[str]:
    """About `count` lines of all kinds, each kind with its share, shuffled.

    Args:
        draws: what makes the lines of a kind.
        shares: the part of each kind; they sum to 1.
        count: of lines; a small kind may have no more, if each may come only once.
        generator: shuffles.
        tries: how many tries a line takes, about.
        each_once: no line twice.
    """
    made: list[str] = []
    for kind, share in shares.items():
        wanted, found = round(share * count) + 1, list[str]()
        known = -1
        while known < len(found) < wanted:  # until nothing new is found
            known = len(found)
            found += draws[kind](max(LEAST_DRAWN, (wanted - len(found)) * tries))
            found = list(dict.fromkeys(found)) if each_once else found
        made += found[:wanted]
    order = torch.randperm(len(made), generator=generator).tolist()
    return [made[place] for place in order]


def in_documents(made: Sequence[str], per_document: int, size: int) -> Iterator[str]:
    """About `size` bytes of documents, each of so many lines."""
    for first in range(0, len(made), per_document):
        document = "\n".join(made[first : first + per_document])
        size -= len(document)
        yield document
        if size <= 0:
            return
