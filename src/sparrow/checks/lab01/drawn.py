"""Words and texts for the cases of lab 01."""

import torch

__all__ = ["drawn_ids", "drawn_text", "some"]


def some(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def drawn_ids(generator: torch.Generator, length: int, kinds: int) -> list[int]:
    """Ids of a word in which few different ones occur."""
    found: list[int] = (
        torch.randint(300, 300 + kinds, (length,), generator=generator)
    ).tolist()
    return found


def drawn_text(generator: torch.Generator, words: int, letters: str) -> str:
    """Short words with one space between them; early letters are more frequent."""
    found = []
    for _word in range(words):
        picks = torch.rand(some(generator, 2, 6), generator=generator) ** 2
        found.append("".join(letters[int(p * len(letters))] for p in picks.tolist()))
    return " ".join(found)
