"""Think aloud about a word: spell it, then spell it from its end.

    s,u,n
    n,u,s

The words are those of reasoning-gym's family spell_backward.
"""

import re

__all__ = ["thought"]

WORD = re.compile(r"^Spell this word backward .*: (\w+)$")


def thought(question: str) -> str:
    """The letters of the word in both directions; empty if no word is asked about."""
    found = WORD.search(question)
    if found is None:
        return ""
    return "\n".join(",".join(letters) for letters in (found[1], found[1][::-1]))
