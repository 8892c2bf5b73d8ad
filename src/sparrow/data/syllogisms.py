"""Think aloud about a syllogism: what is said, without the words it is said in.

    some not a b
    no b c
    no a c

Some horses are not children, no children are cats: does it follow that no horses are
cats? The letters stand for the terms, in the order in which they are named. The
statements are those of reasoning-gym's family syllogism.
"""

import re

__all__ = ["thought"]

STATEMENT = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
LETTERS = "abc"


def thought(question: str) -> str:
    """A line for each statement, the asked one last; empty if it is no syllogism."""
    found = STATEMENT.findall(question)
    terms = dict.fromkeys(
        term for _how, one, _not, other in found for term in (one, other)
    )
    if len(found) != len(LETTERS) or len(terms) != len(LETTERS):
        return ""
    letters = dict(zip(terms, LETTERS, strict=True))
    return "\n".join(
        f"{how.lower()} {negated}{letters[one]} {letters[other]}"
        for how, one, negated, other in found
    )
