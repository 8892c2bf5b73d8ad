"""Work out an arithmetic expression without `eval`: exact, and in bounded time.

sum     = product, then any number of (+ or -) product
product = factor, then any number of (* or /) factor
factor  = number, or ( sum )
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from sparrow.errors import VerifyError
from sparrow.language import _

__all__ = ["Expression", "short", "work_out"]

LONGEST = 200  # characters: no honest answer is longer
DEEPEST = 20  # brackets inside brackets
DIGITS = 6  # of one number

# ASCII digits only: Python's \d and int() would also take ٣ and ३.
PIECE = re.compile(r" *(?:([0-9]+)|([-+*/()]))")


@dataclass(frozen=True)
class Expression:
    """What an expression is worth, and which numbers it uses, in their order."""

    value: Fraction
    numbers: tuple[int, ...]


def work_out(text: str) -> Expression:
    """The exact value of an expression such as `(3*7)+8`.

    Raises:
        VerifyError: it is too long, too deep, no expression, or divides by zero.
    """
    return _Reader(_pieces(text)).all()


def short(text: str) -> str:
    """The same text, if it is short enough to be read.

    Raises:
        VerifyError: it is too long.
    """
    if len(text) > LONGEST:
        raise VerifyError(
            _(
                "the answer has {got} characters; at most {limit} are read.",
                got=len(text),
                limit=LONGEST,
            )
        )
    return text


def _pieces(text: str) -> list[str]:
    """Numbers and signs, in their order."""
    text = short(text).rstrip(" ")
    pieces, place = [], 0
    while place < len(text):
        found = PIECE.match(text, place)
        if found is None:
            raise VerifyError(
                _(
                    "{sign} has no place in an answer: only the digits 0 to 9, "
                    "+ - * / and brackets do.",
                    sign=repr(text[place]),
                )
            )
        piece = found[1] or found[2]
        if len(piece) > DIGITS:
            raise VerifyError(_("a number has more than {limit} digits.", limit=DIGITS))
        pieces.append(piece)
        place = found.end()
    return pieces


class _Reader:
    """Reads from left to right; each method reads one line of the grammar."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces, self.place, self.depth = pieces, 0, 0
        self.numbers: list[int] = []

    def all(self) -> Expression:
        value = self.sum()
        if self.place < len(self.pieces):
            raise _unexpected(self.pieces[self.place])
        return Expression(value, tuple(self.numbers))

    def next_is(self, signs: str) -> str:
        """Take the next piece if it is one of these signs."""
        if self.place < len(self.pieces) and self.pieces[self.place] in signs:
            self.place += 1
            return self.pieces[self.place - 1]
        return ""

    def sum(self) -> Fraction:
        value = self.product()
        while sign := self.next_is("+-"):
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while sign := self.next_is("*/"):
            other = self.factor()
            if sign == "/" and other == 0:
                raise VerifyError(_("the answer divides by zero."))
            value = value * other if sign == "*" else value / other
        return value

    def factor(self) -> Fraction:
        if self.next_is("("):
            self.depth += 1
            if self.depth > DEEPEST:
                raise VerifyError(
                    _("brackets are more than {limit} deep.", limit=DEEPEST)
                )
            value = self.sum()
            if not self.next_is(")"):
                raise VerifyError(_("a bracket is not closed."))
            self.depth -= 1
            return value
        piece = self.pieces[self.place] if self.place < len(self.pieces) else ""
        if not piece.isdigit():
            raise _unexpected(piece)
        self.place += 1
        self.numbers.append(int(piece))
        return Fraction(int(piece))


def _unexpected(piece: str) -> VerifyError:
    if not piece:
        return VerifyError(_("the answer ends where a number should stand."))
    return VerifyError(_("{sign} stands where it should not.", sign=repr(piece)))
