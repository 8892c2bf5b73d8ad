"""Think aloud about a filter: compare each number with the bound, keep it or not.

    5<34 no
    93>34 yes

`Keep all numbers larger than 34 in this list: ['5', '93']` is run as a program would
be. The lists are those of reasoning-gym's family number_filtering.
"""

import re

__all__ = ["thought"]

ASKED = re.compile(
    r"(Keep|Remove) all numbers (larger|smaller) than (\S+) in this list: \[(.+)\]"
)


def thought(question: str) -> str:
    """A line for each number: how it compares, and whether it is in the new list.

    Empty if no list is to be filtered.
    """
    found = ASKED.search(question)
    if found is None:
        return ""
    verb, way, bound, listed = found.groups()
    lines = []
    for number in re.findall(r"[-.\d]+", listed):
        difference = float(number) - float(bound)
        sign = "=" if difference == 0 else ">" if difference > 0 else "<"
        is_named = sign == (">" if way == "larger" else "<")
        is_kept = is_named == (verb == "Keep")
        lines.append(f"{number}{sign}{bound} {'yes' if is_kept else 'no'}")
    return "\n".join(lines)
