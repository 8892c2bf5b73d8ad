"""Think aloud about a program: the number that each letter is made of, step by step.

    7*14=98 b
    4*4=16,98+16=114 r

The programs are those of reasoning-gym's family bf at its first difficulty: they print
one word, and keep one number from which each letter follows. A loop multiplies.
"""

import re

__all__ = ["thought"]

PROGRAM = re.compile(r"^[-+<>.,\[\]]{8,}$", re.MULTILINE)
PART = re.compile(r">(\++)\[<(\++|-+)>-\]<|(\++)|(-+)|(\.)")
CLEARED = ">[-]"  # what a compiler writes first: a cell set to zero


def thought(question: str) -> str:
    """A line for each letter: the sums that lead to its number, and the letter.

    Empty if there is no program, or one of another kind.
    """
    found = PROGRAM.search(question)
    program = found[0].replace(CLEARED, "").strip("<") if found else ""
    if not re.fullmatch(f"(?:{PART.pattern})+", program):
        return ""
    value, sums, lines = 0, list[str](), list[str]()
    for part in PART.finditer(program):
        times, each, plus, minus, prints = part.groups(default="")
        if prints:
            lines.append(f"{','.join(sums)} {chr(value)}")
            sums = []
            continue
        amount = len(plus or minus) or len(times) * len(each)
        if times:
            sums.append(f"{len(times)}*{len(each)}={amount}")
        sign = "-" if minus or each.startswith("-") else "+"
        after = value - amount if sign == "-" else value + amount
        if value or not times:  # nothing is added to zero after a loop
            sums.append(f"{value}{sign}{amount}={after}")
        value = after
        if not 0 <= value < 128:
            return ""
    return "\n".join(lines)
