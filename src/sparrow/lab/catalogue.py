"""What each lab is about, as `workshop build` took it from the sources."""

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sparrow.errors import LabError
from sparrow.language import _

__all__ = ["About", "about", "labs"]

FILE = "labs.json"


@dataclass(frozen=True, kw_only=True)
class About:
    """One lab.

    Args:
        solutions: exercise -> its library symbol.
        checked_minutes: exercise that has a check -> the minutes planned for it.
    """

    name: str
    title: str
    question: str
    minutes: int
    memory_gib: float
    solutions: dict[str, str]
    checked_minutes: dict[str, int]
    artefacts: tuple[str, ...]


@cache
def labs() -> dict[str, About]:
    """Every lab, by name."""
    told = json.loads(
        resources.files("sparrow.lab").joinpath(FILE).read_text(encoding="utf-8")
    )
    return {
        each["name"]: About(**{**each, "artefacts": tuple(each["artefacts"])})
        for each in told
    }


def about(name: str) -> About:
    """The lab of this name.

    Raises:
        LabError: there is none.
    """
    known = labs()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1) or sorted(known)
        raise LabError(
            _(
                'There is no lab "{name}". Did you mean: {near}?',
                name=name,
                near=", ".join(near),
            )
        )
    return known[name]
