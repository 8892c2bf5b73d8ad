"""Exercise 6.4: a row in which a lazy mask imitates a question."""

import torch

from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import kind_of, nothing_expected
from sparrow.language import _
from sparrow.text.chat import ASSISTANT, END, SPECIAL, USER

__all__ = ["CHECKS"]

VALID, IMITATED = "a row of whole turns", "a question is imitated"
MOST = 60  # pieces


def cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """First: is it such a row? Then: does the lazy mask go wrong on it?"""
    return [Case("your row", group, {}) for group in (VALID, IMITATED)]


def compare(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Read the row turn by turn; then look for a question after an answer."""
    if not isinstance(actual, list) or not actual:
        return Verdict(
            False,
            _(
                "row is a list of pieces, such as the one above; got {got}.",
                got=kind_of(actual),
            ),
        )
    if len(actual) > MOST:
        return Verdict(False, _("Take at most {n} pieces.", n=MOST))
    pieces = [each for each in actual if isinstance(each, str)]
    if len(pieces) < len(actual):
        return Verdict(False, _("Every piece is text in quotes."))
    if message := why_no_turns(pieces):
        return Verdict(False, message)
    if case.group == VALID:
        return Verdict(True)
    return Verdict(not (message := why_harmless(pieces)), message)


def why_no_turns(pieces: list[str]) -> str:
    """What keeps the row from being turns one after the other; empty: nothing."""
    is_open = False
    for piece in pieces:
        if not is_open and piece not in (USER, ASSISTANT):
            return _("{piece} stands outside of a turn: who says it?", piece=piece)
        if is_open and piece in SPECIAL and piece != END:
            return _("{piece} comes before the turn has ended.", piece=piece)
        is_open = piece != END
    return _("The last turn has no end.") if is_open else ""


def why_harmless(pieces: list[str]) -> str:
    """Why the lazy mask is right on this row; empty if it is not."""
    if ASSISTANT not in pieces:
        return _("Nobody answers here: the lazy mask is never switched on.")
    after = pieces[pieces.index(ASSISTANT) + 1 :]
    if USER not in after:
        return _(
            "Only answers follow the first answer's mark, and those are the "
            "assistant's. Who could speak after an answer, when a row holds more?"
        )
    return ""


CHECKS = {
    "6.4": Check(
        exercise="6.4",
        solution=None,
        groups={VALID: 0.25, IMITATED: 0.75},
        cases=cases,
        expected=nothing_expected,
        compare=compare,
        driver="value",
    )
}
