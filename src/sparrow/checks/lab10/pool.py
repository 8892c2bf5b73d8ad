"""Exercises 10.3 to 10.5: lend blocks, take them back, find what they hold."""

from collections.abc import Callable
from typing import Any

import torch

from sparrow.checks.by_serving import FULL, pooled
from sparrow.checks.lab10.budget import some
from sparrow.checks.lab10.exact import compare_exact
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.serve.blocks import BlockPool

__all__ = ["CHECKS"]

ROOM, SHORT, HELD = "enough blocks", "too few blocks", "what they held"
ONE, SEVERAL, ORDER = "one reader", "several readers", "who is used next"
BEGIN, FULL_ONLY, ALIKE = "a known beginning", "full blocks only", "one hash, two texts"
Line = dict[str, Any]
Story = tuple[str, str, int, list[Line]]  # name, group, blocks, lines
SIZE = 4


def take(count: int) -> Line:
    """A request comes."""
    return {"do": "allocate", "count": count}


def fill(of: int, tokens: list[int]) -> Line:
    """Its blocks are full."""
    return {"do": "remember", "of": of, "tokens": tokens}


def share(of: int) -> Line:
    """Another reads the same."""
    return {"do": "share", "of": of}


def give(of: int) -> Line:
    """One of its readers goes."""
    return {"do": "free", "of": of}


def look(tokens: list[int]) -> Line:
    """Somebody comes with a text."""
    return {"do": "prefix", "tokens": tokens}


def text(generator: torch.Generator, length: int) -> list[int]:
    """Tokens."""
    return torch.randint(0, 50, (length,), generator=generator).tolist()


def lending(generator: torch.Generator) -> list[Story]:
    """Blocks that are there, that are not, and that held something."""
    one, two = text(generator, 2 * SIZE), text(generator, 2 * SIZE)
    count = some(generator, 2, 4)
    return [
        ("two requests", ROOM, 6, [take(2), take(3)]),
        ("none at all", ROOM, 3, [take(0), take(1)]),
        ("the last ones", ROOM, 4, [take(1), take(3)]),
        ("one too many", SHORT, 4, [take(2), take(3)]),
        ("then fewer", SHORT, 4, [take(3), take(2), take(1)]),
        ("used again", HELD, 3, [take(2), fill(0, one), give(0), take(3), look(one)]),
        (
            "the oldest is forgotten first",
            HELD,
            5,
            [take(2), fill(0, one), take(2), fill(1, two), give(0), give(1), take(2)],
        ),
        ("drawn", ROOM, 9, [take(count), give(0), take(count + 1), take(3)]),
    ]


def giving(generator: torch.Generator) -> list[Story]:
    """Blocks of one reader and of several, full ones and others."""
    one, two = text(generator, 2 * SIZE), text(generator, SIZE)
    count = some(generator, 2, 5)
    return [
        ("all come back", ONE, 4, [take(3), give(0)]),
        ("one of two", ONE, 5, [take(2), take(2), give(0)]),
        ("still read", SEVERAL, 4, [take(2), share(0), give(0)]),
        ("read no more", SEVERAL, 4, [take(2), share(0), give(0), give(0)]),
        ("full ones rest", ORDER, 5, [take(3), fill(0, one), give(0)]),
        (
            "two full texts",
            ORDER,
            6,
            [take(2), fill(0, one), take(2), fill(1, two), give(1), give(0)],
        ),
        ("the beginning stays longest", ORDER, 4, [take(3), give(0), take(2)]),
        ("drawn", ONE, 8, [take(count), take(2), give(0), give(1)]),
    ]


def finding(generator: torch.Generator) -> list[Story]:
    """The same beginning, another one, a block that is not full, and one hash."""
    one = text(generator, 3 * SIZE)
    other = [*one[:SIZE], *text(generator, 2 * SIZE)]
    other[SIZE] = one[SIZE] + 50  # the second block is another
    known = [take(3), fill(0, one)]
    turned = [one[0] + 3, *one[1:]]  # a poor hash cannot tell them apart
    gap = [*one[:SIZE], *other[SIZE : 2 * SIZE], *one[SIZE : 2 * SIZE]]
    later = [99, *one[1:]]
    return [
        ("all of it", BEGIN, 6, [*known, look(one)]),
        ("longer than what is known", BEGIN, 6, [*known, look([*one, 1, 2, 3, 4])]),
        ("another second block", BEGIN, 6, [*known, look(other)]),
        ("another beginning", BEGIN, 6, [*known, look(later)]),
        ("something between", BEGIN, 6, [*known, look(gap)]),
        ("its reader has gone", BEGIN, 6, [*known, give(0), look(one)]),
        ("half a block more", FULL_ONLY, 6, [*known, look(one[: 2 * SIZE + 2])]),
        ("less than a block", FULL_ONLY, 6, [*known, look(one[: SIZE - 1])]),
        ("another text", ALIKE, 6, [*known, look(turned)]),
        ("the text itself", ALIKE, 6, [take(1), fill(0, one[:SIZE]), look(one[:SIZE])]),
    ]


def check_of(
    exercise: str,
    method: str,
    stories: Callable[[torch.Generator], list[Story]],
    groups: dict[str, float],
    causes: Callable[[Case, dict[str, Any], dict[str, Any]], str],
) -> Check:
    """The check of one method of the pool."""

    def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
        """Stories; those that grading draws have other texts and counts."""
        found = []
        for turn in range(1 + 2 * hidden):
            for name, group, count, story in stories(generator):
                inputs: dict[str, Plain] = {
                    "method": method,
                    "count": count,
                    "block_size": SIZE,
                    "story": story,  # type: ignore[dict-item]
                    "alike": group == ALIKE,
                }
                found.append(
                    Case(f"{name} {turn + 1}" if turn else name, group, inputs)
                )
        return found

    def expected(case: Case) -> Plain:
        """What the library's own method makes of the story."""
        return pooled(vars(BlockPool)[method], case.inputs)

    def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
        """The same answers, and the same pool at the end."""
        if actual == wanted:
            return Verdict(True)
        if not isinstance(actual, dict) or not isinstance(wanted, dict):
            return Verdict(False, _("This is no answer of the driver."))
        cause = causes(case, wanted, actual)
        if cause:
            return Verdict(False, cause)
        return compare_exact(wanted["said"], actual["said"])

    return Check(
        exercise=exercise,
        solution=f"sparrow.serve.blocks:BlockPool.{method}",
        groups=groups,
        cases=cases,
        expected=expected,
        compare=compare,
        driver="pooled",
    )


def lending_causes(_case: Case, wanted: dict[str, Any], actual: dict[str, Any]) -> str:
    """What is wrong with blocks that were lent."""
    if actual["known"] > wanted["known"]:
        return _("What a block held must be forgotten: it will hold another text.")
    for right, got in zip(wanted["said"], actual["said"], strict=False):
        if right == FULL and got != FULL:
            return _("There are not so many free blocks: raise CacheFull.")
        if got == FULL and right != FULL:
            return _("There were enough free blocks, and you said there were not.")
        if right != [] and got is None and right is not None:
            return _("Nothing comes back: is a return missing?")
        if isinstance(right, list) and isinstance(got, list) and len(right) != len(got):
            return _("This is not the number of blocks that was asked for.")
    if sorted(wanted["idle"]) != sorted(actual["idle"]):
        if FULL in wanted["said"]:
            return _("All or nothing: where blocks are missing, none is taken.")
        return _("A block that is lent is free no more, and no other is taken.")
    if wanted["readers"] != actual["readers"]:
        return _("Each block that is lent has one reader.")
    if wanted["said"] != actual["said"] and wanted["held"] == actual["held"]:
        return _("Take from the front: those unused for longest.")
    if wanted["held"] != actual["held"] or wanted["known"] != actual["known"]:
        return _("Take from the front: those unused for longest.")
    return ""


def giving_causes(_case: Case, wanted: dict[str, Any], actual: dict[str, Any]) -> str:
    """What is wrong with blocks that came back."""
    if wanted["readers"] != actual["readers"]:
        if sum(actual["readers"]) > sum(wanted["readers"]):
            return _("There is one reader less of each block.")
        return _("One reader less, not all of them: others still read.")
    if sorted(wanted["idle"]) != sorted(actual["idle"]):
        if len(actual["idle"]) > len(wanted["idle"]):
            return _("A block that somebody still reads is not free.")
        return _("A block without readers is free: nobody will find it otherwise.")
    if wanted["known"] != actual["known"]:
        return _("What a block holds stays known, until somebody needs the room.")
    if set(wanted["idle"]) == set(actual["idle"]):
        held = [wanted["held"][block] is not None for block in wanted["idle"]]
        if held != [actual["held"][block] is not None for block in actual["idle"]]:
            return _(
                "What nobody can find again is used first: to the front of the queue. "
                "What is known goes to the back."
            )
        return _("Go from the last block to the first: beginnings are shared most.")
    return ""


def finding_causes(case: Case, wanted: dict[str, Any], actual: dict[str, Any]) -> str:
    """What is wrong with blocks that were found."""
    right, got = wanted["said"][-1], actual["said"][-1]
    if got is None:
        return _("Nothing comes back: is a return missing?")
    if not isinstance(got, list):
        return ""
    if case.group == ALIKE and len(got) > len(right):
        return _("A hash says only where to look: compare the tokens, too.")
    if case.group == FULL_ONLY and len(got) > len(right):
        return _("A block that is not full cannot be shared: it will be written in.")
    if len(got) > len(right):
        return _("Stop at the first block that nobody has computed.")
    if len(got) < len(right):
        return _("More is known: go on with the next block, behind the one before.")
    return ""


CHECKS = {
    "10.3": check_of(
        "10.3",
        "allocate",
        lending,
        {ROOM: 0.4, SHORT: 0.3, HELD: 0.3},
        lending_causes,
    ),
    "10.4": check_of(
        "10.4",
        "free",
        giving,
        {ONE: 0.3, SEVERAL: 0.35, ORDER: 0.35},
        giving_causes,
    ),
    "10.5": check_of(
        "10.5",
        "longest_prefix",
        finding,
        {BEGIN: 0.5, FULL_ONLY: 0.25, ALIKE: 0.25},
        finding_causes,
    ),
}
