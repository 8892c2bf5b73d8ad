"""Think aloud about a family: the story in short, then link by link to the other.

    Ava=Owen>John,John=Mia>Luna
    Ava>John,John>Luna

Ava is a parent of John, and John of Luna; `<` is a child of, `=` is married to. The
stories are those of reasoning-gym's family_relationships.
"""

import re
from collections import deque

__all__ = ["thought"]

COUPLE = re.compile(
    r"(\w+) is married to (\w+)\.(?: They have (?:a child|children) called ([^.]+)\.)?"
)
ASKED = re.compile(r"(?:What is|How is|What relation is) (\w+) (?:related )?to (\w+)\?")


def thought(question: str) -> str:
    """The couples with their children, then the shortest chain between the two.

    Empty if the question is no story of a family, or nothing links the two.
    """
    asked = ASKED.search(question)
    if asked is None:
        return ""
    links = _links(question)
    first, last = asked.groups()
    came_by = {first: ""}
    todo = deque([first])
    while todo and last not in came_by:
        here = todo.popleft()
        for link, there in links.get(here, []):
            if there not in came_by:
                step = f"{here}{link}{there}"
                came_by[there] = f"{came_by[here]},{step}" if came_by[here] else step
                todo.append(there)
    chain = came_by.get(last, "")
    return f"{_in_short(question)}\n{chain}" if chain else ""


def _in_short(story: str) -> str:
    """Every couple, in the order of the story, with its children."""
    return ",".join(
        ">".join([f"{one}={other}", *_names(children)])
        for one, other, children in COUPLE.findall(story)
    )


def _names(children: str) -> list[str]:
    return re.findall(r"\w+", children.replace(" and ", " "))


def _links(story: str) -> dict[str, list[tuple[str, str]]]:
    """Person -> the links that lead away, marriages last: blood decides most words."""
    blood: dict[str, list[tuple[str, str]]] = {}
    married: dict[str, list[tuple[str, str]]] = {}
    for one, other, children in COUPLE.findall(story):
        married.setdefault(one, []).append(("=", other))
        married.setdefault(other, []).append(("=", one))
        for child in _names(children):
            for parent in (one, other):
                blood.setdefault(parent, []).append((">", child))
                blood.setdefault(child, []).append(("<", parent))
    return {
        person: blood.get(person, []) + married.get(person, [])
        for person in {*blood, *married}
    }
