"""Countdown: reach a target with given numbers, each of them used exactly once."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from sparrow.errors import VerifyError
from sparrow.language import _
from sparrow.verify import expression
from sparrow.verify.problem import Judgement

__all__ = ["Countdown", "numbers_are_used"]


@dataclass(frozen=True)
class Countdown:
    """Numbers and a target, as in `numbers 3 7 8 target 29`."""

    numbers: tuple[int, ...]
    target: int

    @property
    def family(self) -> str:
        """The name of this kind of problem."""
        return "countdown"

    @property
    def question(self) -> str:
        """What the model is asked."""
        return f"numbers {' '.join(map(str, self.numbers))} target {self.target}"

    def judge(self, answer: str) -> Judgement:
        """Judge an expression such as `(3*7)+8`, or a chain `3*7=21,21+8=29`."""
        try:
            value = self._follow(answer) if "=" in answer else self._work_out(answer)
        except VerifyError as error:
            return Judgement(False, 0.0, str(error))
        if value == self.target:
            return Judgement(True, 1.0)
        why = _(
            "the answer is worth {got}, the target is {target}.",
            got=value,
            target=self.target,
        )
        return Judgement(True, 0.0, why)

    def _work_out(self, answer: str) -> Fraction:
        """The value of an expression that uses each number once."""
        found = expression.work_out(answer)
        if not numbers_are_used(found.numbers, self.numbers):
            raise VerifyError(
                _(
                    "the answer uses {used}; the problem gives {given}, each once.",
                    used=_words(found.numbers),
                    given=_words(self.numbers),
                )
            )
        return found.value

    def _follow(self, answer: str) -> Fraction:
        """What a chain of steps ends in; each takes two numbers and puts one back."""
        there = Counter(self.numbers)
        made = Fraction(0)
        for step in expression.short(answer).split(","):
            left, _equals, right = step.partition("=")
            done, told = expression.work_out(left), expression.work_out(right)
            if len(done.numbers) != 2 or len(told.numbers) != 1:
                raise VerifyError(
                    _("{step} is no step: a step joins two numbers.", step=repr(step))
                )
            if done.value != told.value:
                raise VerifyError(_("{step} is wrong.", step=repr(step)))
            if Counter(done.numbers) - there:
                raise VerifyError(
                    _("{step} takes a number that is not there.", step=repr(step))
                )
            made = told.value
            there = there - Counter(done.numbers) + Counter(told.numbers)
        if there.total() != 1:
            raise VerifyError(_("not all numbers were used."))
        return made


def numbers_are_used(used: tuple[int, ...], given: tuple[int, ...]) -> bool:
    """Whether an answer uses each given number exactly as often as it is given."""
    return Counter(used) == Counter(given)


def _words(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, sorted(numbers))) or "-"
